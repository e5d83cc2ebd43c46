// The ways of interrupts: from a message over IRR and ISR to the handler, the softirq and the task that goes on.

import { after, HARDWARE, Run } from "./run";

/** The stations of one way, in the order of the records. */
export interface Flow {
  irq: number;
  stations: number[];
}

export class Flows {
  private readonly byIrq = new Map<number, Flow[]>();
  readonly all: Flow[] = [];

  constructor(run: Run) {
    let message: Flow | null = null;
    const requested = new Map<string, Flow>();
    const contexts = new Map<number, Flow>();
    const raised = new Map<number, Flow>();
    const next = new Map<number, Flow>();
    const number = (record: number, field: string): number => Number(run.value(record, field) ?? -1);
    const names = run.data.of.map((of) => of.name);
    const softirq = run.data.contexts.map((context) => context.actor.startsWith("softirq"));
    const began = new Uint8Array(run.data.contexts.length);
    for (let i = 0; i < run.length; i++) {
      const context = run.context[i];
      if (context >= 0 && began[context] === 0) {
        began[context] = 1;
        const flow = softirq[context] ? raised.get(run.cpu[i]) : undefined;
        if (flow) {
          raised.delete(run.cpu[i]);
          contexts.set(context, flow);
          next.set(context, flow);
        }
      }
      if (run.kind[i] !== HARDWARE) {
        const flow = next.get(context);
        if (flow) {
          next.delete(context);
          flow.stations.push(i);
          if (flow.irq < 0 && run.irq[i] >= 0) flow.irq = run.irq[i];
        }
        continue;
      }
      switch (names[run.of[i]]) {
        case "hw::message":
        case "hw::ipi":
          message = { irq: -1, stations: [i] };
          this.all.push(message);
          break;
        case "hw::irte":
          message?.stations.push(i);
          break;
        case "hw::irr":
          if (message) {
            requested.set(`${number(i, "cpu")}/${number(i, "vector")}`, message);
            message.stations.push(i);
            if (run.irq[i] >= 0) message.irq = run.irq[i];
          }
          break;
        case "hw::isr": {
          const key = `${number(i, "cpu")}/${number(i, "vector")}`;
          const flow = requested.get(key);
          if (flow) {
            requested.delete(key);
            flow.stations.push(i);
            contexts.set(context, flow);
            next.set(context, flow);
          }
          break;
        }
        case "hw::softirq": {
          const flow = contexts.get(context);
          if (flow) {
            raised.set(number(i, "cpu"), flow);
            flow.stations.push(i);
          }
          break;
        }
        case "hw::wakeup": {
          const flow = contexts.get(context);
          if (flow) {
            flow.stations.push(i);
            const actor = run.value(i, "context");
            const task = typeof actor === "number" ? run.contextOf(actor) : -1;
            if (task >= 0) next.set(task, flow);
          }
          break;
        }
      }
    }
    for (const flow of this.all) {
      const same = this.byIrq.get(flow.irq);
      if (same) same.push(flow);
      else this.byIrq.set(flow.irq, [flow]);
    }
  }

  of(irq: number | null): Flow[] {
    return irq === null ? [] : (this.byIrq.get(irq) ?? []);
  }

  /** The way on which a record is, if it is on one of this interrupt. */
  at(irq: number | null, record: number): Flow | null {
    const flows = this.of(irq);
    const until = after(flows.map((flow) => flow.stations[0]), record);
    for (let i = until - 1; i >= Math.max(0, until - 8); i--) {
      if (flows[i].stations[flows[i].stations.length - 1] >= record) return flows[i];
    }
    return null;
  }
}
