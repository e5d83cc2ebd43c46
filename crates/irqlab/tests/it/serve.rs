//! `irqlab serve` on real sockets: who is answered, what is bounded, and that what it serves is what the other commands write.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use serde_json::{Value, json};

/// A server that runs, in an empty folder of its own. It ends when it is dropped.
struct Server {
    child: Child,
    folder: PathBuf,
    port: u16,
    token: String,
}

/// An answer.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

impl Server {
    fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("irqlab-serve-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_irqlab"));
        command.arg("serve").current_dir(&folder).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let rest = line.trim().strip_prefix("http://127.0.0.1:").expect(&line);
        let (port, token) = rest.split_once("/?token=").expect(&line);
        Self { child, folder, port: port.parse().unwrap(), token: token.to_owned() }
    }

    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(90))).unwrap();
        stream
    }

    /// Sends bytes as they are and reads all that comes.
    fn raw(&self, bytes: &[u8]) -> Reply {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        read(&mut stream)
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        self.raw(&[head.as_bytes(), b"\r\n", body].concat())
    }

    fn get(&self, path: &str) -> Reply {
        let bearer = format!("Bearer {}", self.token);
        self.send("GET", path, &[("Host", &self.host()), ("Authorization", &bearer)], b"")
    }

    fn post(&self, path: &str, body: &Value) -> Reply {
        let cookie = format!("irqlab-{}={}", self.port, self.token);
        let origin = format!("http://{}", self.host());
        let headers = [
            ("Host", self.host()),
            ("Cookie", cookie),
            ("Origin", origin),
            ("Content-Type", "application/json".to_owned()),
        ];
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.send("POST", path, &headers, body.to_string().as_bytes())
    }

    fn open(&self, wanted: &Value) -> u64 {
        let reply = self.post("/api/open", wanted);
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["session"].as_u64().unwrap()
    }

    fn line(&self, session: u64, line: &str) -> Value {
        let reply = self.post("/api/line", &json!({ "session": session, "line": line }));
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    fn page(&self, session: u64) -> Value {
        let reply = self.get(&format!("/api/page?session={session}"));
        assert_eq!((reply.status, reply.header("content-encoding")), (200, Some("gzip")), "{}", reply.head);
        serde_json::from_reader(GzDecoder::new(&*reply.body)).unwrap()
    }

    /// The most memory that was ever resident, in MiB.
    fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() >> 10
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn read(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    // What was still being sent when the answer came may reset the connection behind it.
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(&bytes)));
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    Reply { status, head, body: bytes[end + 4..].to_vec() }
}

#[test]
fn only_who_knows_the_token_and_comes_from_here_is_answered() {
    let server = Server::start("guard");
    let (host, bearer) = (server.host(), format!("Bearer {}", server.token));
    let own = format!("http://{host}");
    let wrong = format!("Bearer {}0", &server.token[1..]);
    let localhost = format!("localhost:{}", server.port);
    for (headers, status) in [
        (vec![("Host", &*host), ("Authorization", &*bearer)], 200),
        (vec![("Host", &localhost), ("Authorization", &bearer)], 200),
        (vec![("Host", &host), ("Authorization", &bearer), ("Origin", &own)], 200),
        (vec![("Host", "example.com"), ("Authorization", &bearer)], 421),
        (vec![("Host", "127.0.0.1"), ("Authorization", &bearer)], 421),
        (vec![("Authorization", &bearer)], 421),
        (vec![("Host", &host), ("Authorization", &bearer), ("Origin", "http://example.com")], 403),
        (vec![("Host", &host), ("Authorization", &bearer), ("Origin", "null")], 403),
        (vec![("Host", &host), ("Authorization", &bearer), ("Sec-Fetch-Site", "cross-site")], 403),
        (vec![("Host", &host)], 401),
        (vec![("Host", &host), ("Authorization", &wrong)], 401),
        (vec![("Host", &host), ("Cookie", "irqlab-1=x")], 401),
    ] {
        for path in ["/", "/api/choices", "/api/nothing"] {
            let reply = server.send("GET", path, &headers, b"");
            let expect = if path == "/api/nothing" && status == 200 { 404 } else { status };
            assert_eq!(reply.status, expect, "{path} {headers:?}: {}", reply.text());
            assert!(!reply.head.to_ascii_lowercase().contains("access-control-"), "{}", reply.head);
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("x-frame-options", "DENY"),
                ("cache-control", "no-store"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(reply.header(name), Some(value), "{path} {headers:?}");
            }
            let policy = reply.header("content-security-policy").unwrap();
            assert!(policy.starts_with("default-src 'none';") && !policy.contains("-inline"), "{policy}");
            // Nothing is told to who may not ask.
            let tells = status != 200 && reply.body.len() > 120;
            assert!(!tells && (status == 200 || !reply.text().contains(&server.token)), "{}", reply.text());
        }
    }
    // A preflight of another page is answered like any other request of it.
    let reply =
        server.send("OPTIONS", "/api/line", &[("Host", &host), ("Origin", "http://example.com")], b"");
    assert_eq!(reply.status, 403);
}

#[test]
fn the_token_of_the_address_becomes_a_cookie_and_leaves_the_address() {
    let server = Server::start("token");
    let host = server.host();
    let reply = server.send("GET", &format!("/?token={}", server.token), &[("Host", &host)], b"");
    assert_eq!((reply.status, reply.header("location")), (303, Some("/")));
    let cookie = reply.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(server.send("GET", "/", &[("Host", &host), ("Cookie", cookie)], b"").status, 200);
    assert_eq!(server.send("GET", "/?token=0", &[("Host", &host), ("Cookie", cookie)], b"").status, 401);
    let elsewhere = format!("//example.com/?token={}", server.token);
    let reply = server.send("GET", &elsewhere, &[("Host", &host)], b"");
    assert!(reply.status == 421 || reply.header("location") == Some("/"), "{}", reply.head);
}

#[test]
fn what_is_no_request_of_the_page_is_refused_by_name() {
    let server = Server::start("requests");
    let (host, bearer) = (server.host(), format!("Bearer {}", server.token));
    let headers = [("Host", &*host), ("Authorization", &*bearer)];
    let post = |kind: &str, body: &str| {
        let headers = [headers[0], headers[1], ("Content-Type", kind)];
        server.send("POST", "/api/line", &headers, body.as_bytes())
    };
    assert_eq!(post("text/plain", "{\"session\":1,\"line\":\"x\"}").status, 415);
    for (body, expect) in
        [("", "EOF"), ("{", "EOF"), ("[]", "invalid"), ("{\"session\":1,\"line\":\"x\",\"y\":1}", "`y`")]
    {
        let reply = post("application/json", body);
        assert!(reply.status == 400 && reply.text().contains(expect), "{body}: {}", reply.text());
    }
    let reply = server.get("/api/line");
    assert!(reply.status == 405 && reply.text().contains("expected POST"), "{}", reply.text());
    assert_eq!(server.get("/api/page").status, 400);
    assert_eq!(server.get("/api/page?session=9").status, 404);
    assert_eq!(server.send("GET", "/../etc/passwd", &headers, b"").status, 404);
    assert_eq!(server.raw(b"this is no HTTP\r\n\r\n").status, 400);
    assert_eq!(server.get("/api/choices").status, 200);
}

#[test]
fn a_body_of_100_megabytes_is_refused_before_it_is_read() {
    let server = Server::start("large");
    let head = format!(
        "POST /api/line HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n",
        server.host(),
        server.token
    );
    let part = vec![b' '; 1 << 16];
    for (length, chunk) in
        [("Content-Length: 100000000\r\n\r\n", ""), ("Transfer-Encoding: chunked\r\n\r\n", "10000\r\n")]
    {
        let mut stream = server.connect();
        stream.write_all(format!("{head}{length}").as_bytes()).unwrap();
        let mut sent = 0;
        // What is refused need not be taken.
        while sent < 100_000_000 {
            let written = stream.write_all(chunk.as_bytes()).and_then(|()| stream.write_all(&part));
            let end = if chunk.is_empty() { Ok(()) } else { stream.write_all(b"\r\n") };
            if written.and(end).is_err() {
                break;
            }
            sent += part.len();
        }
        assert!(sent < 20_000_000, "{sent} bytes were taken");
    }
    // Who waits for the answer before sending gets it.
    let mut stream = server.connect();
    stream.write_all(format!("{head}Content-Length: 100000000\r\n\r\n").as_bytes()).unwrap();
    let reply = read(&mut stream);
    assert!(reply.status == 413 && reply.text().contains("at most 256 KiB"), "{}", reply.text());
    assert!(server.memory() < 100, "{} MiB", server.memory());
    assert_eq!(server.get("/api/choices").status, 200);
}

#[test]
fn a_script_that_never_ends_is_stopped_and_others_are_answered_meanwhile() {
    let server = Server::start("endless");
    let words = (0..200).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
    let nested = |inner: &str| {
        let names = ["a", "b", "c", "d", "e", "f"];
        let open: String = names.iter().map(|name| format!("for {name} in {words}; do ")).collect();
        format!("echo begun\nY=1\n{open}{inner}{}\n", "; done".repeat(names.len()))
    };
    let scripts = [
        nested("X=$a"),
        nested("echo 3 > /proc/irq/29/smp_affinity_list"),
        nested("Y=$Y$Y$a"),
        nested("sleep 1"),
        nested("cat /proc/interrupts"),
    ];
    std::thread::scope(|scope| {
        for script in &scripts {
            let server = &server;
            scope.spawn(move || {
                let session = server.open(&json!({}));
                let begun = Instant::now();
                let answer = server.line(session, script);
                let text = answer["text"].as_str().unwrap();
                let stopped = answer["stopped"].as_str();
                assert!(text.starts_with("begun\n"), "{text}");
                assert!(stopped.is_some() && text.contains("interrupted at step "), "{stopped:?} {text}");
                assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
                // What ran so far is there, and can be gone on with.
                assert!(answer["step"].as_u64() > Some(0), "{answer}");
                let again = server.line(session, "cat /proc/irq/29/node");
                assert_eq!(again["failed"], false, "{again}");
            });
        }
        for _ in 0..5 {
            let begun = Instant::now();
            assert_eq!(server.get("/api/choices").status, 200);
            assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    // Ctrl-C of the page. A script that only calculates takes so few steps that no other bound ends it first.
    let session = server.open(&json!({}));
    std::thread::scope(|scope| {
        let running = scope.spawn(|| server.line(session, &scripts[0]));
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(server.post("/api/interrupt", &json!({ "session": session })).status, 200);
        let answer = running.join().unwrap();
        assert_eq!(answer["stopped"], "interrupt", "{answer}");
    });
    assert!(server.memory() < 1024, "{} MiB", server.memory());
}

#[test]
fn ten_clients_at_once_get_their_own_answers() {
    let server = Server::start("ten");
    std::thread::scope(|scope| {
        for n in 0..10 {
            let server = &server;
            scope.spawn(move || {
                let kernel = ["v5.4", "v6.12", "v7.3"][n % 3];
                let session = server.open(&json!({ "kernel": kernel }));
                let answer = server.line(session, &format!("echo {n}"));
                assert_eq!(answer["text"], format!("{n}\n"));
                let cpu = n % 7 + 1;
                let answer =
                    server.line(session, &format!("echo 0 > /sys/devices/system/cpu/cpu{cpu}/online"));
                assert_eq!(answer["failed"], false, "{answer}");
                let page = server.page(session);
                assert_eq!(page["runs"][0]["kernel"], kernel);
                let records = page["runs"][0]["records"]["of"].as_array().unwrap().len();
                assert_eq!(
                    answer["records"].as_u64(),
                    Some(records as u64),
                    "the place is the end of the page"
                );
            });
        }
    });
}

#[test]
fn a_session_stops_where_a_breakpoint_is_and_goes_back() {
    let server = Server::start("session");
    let session = server.open(&json!({ "kernel": "v6.12", "set": ["vector_cleanup=ipi"] }));
    server.line(session, ":break vector_alloc_managed if irq == 29");
    let stop = server.line(session, "echo 1 > /sys/class/nvme/nvme0/reset_controller");
    assert!(stop["text"].as_str().unwrap().starts_with("breakpoint 1: step "), "{stop}");
    let page = server.page(session);
    let run = &page["runs"][0];
    assert_eq!(run["set"], json!(["vector_cleanup=ipi"]));
    let records = stop["records"].as_u64().unwrap() as usize;
    // The record at which the session stands is the tracepoint in the page.
    let of = run["records"]["of"][records - 1].as_u64().unwrap() as usize;
    assert_eq!(run["of"][of]["name"], "vector_alloc_managed", "{}", run["of"][of]);
    assert!(
        run["records"]["of"].as_array().unwrap().len() > records,
        "the step goes on behind the breakpoint"
    );
    assert_eq!(server.line(session, ":goto start")["records"], 0);
    let end = server.line(session, ":goto end");
    assert_eq!(end["records"].as_u64(), Some(run["records"]["of"].as_array().unwrap().len() as u64));
    let exhibit = server.post("/api/open", &json!({ "exhibit": "m03" })).json();
    assert!(
        exhibit["name"] == "M03/machine.toml" && exhibit["script"].as_str().unwrap().contains("#: assert")
    );
}

#[test]
fn mistakes_have_their_place() {
    let server = Server::start("mistakes");
    let check = |texts: Value| server.post("/api/check", &texts).json()["mistakes"].clone();
    assert_eq!(check(json!({ "script": "echo 1 > /a\n" })), json!([]));
    let place = &check(json!({ "script": "echo 1 > /a\nrm /b\n" }))[0];
    assert_eq!(place["message"], "no command `rm`");
    let of =
        |place: &Value| ["line", "column", "end_line", "end_column"].map(|key| place[key].as_u64().unwrap());
    assert_eq!(of(&place["place"]), [2, 1, 2, 3]);
    let place = &check(json!({ "machine": "kernel = \"v5.4\"\n[cpus]\npossible = 0\n" }))[0]["place"];
    assert_eq!(of(place)[0], 3);
    for (wanted, expect) in [
        (json!({ "text": "kernel = \"v9\"\n[cpus]\npossible = 1\n" }), "unknown kernel `v9`"),
        (json!({ "machine": "nothing" }), "no machine is called `nothing`"),
        (json!({ "exhibit": "M99" }), "there is no exhibit `M99`"),
        (json!({ "kernel": "v1" }), "no kernel is called `v1`"),
        (json!({ "set": ["x=1"] }), "there is no field `x`"),
        (json!({ "exhibit": "M03", "machine": "x" }), "more than one thing"),
        (
            json!({ "text": "kernel = \"v5.4\"\n[cpus]\npossible = 2000\napic = \"x2apic\"\ninterrupt_remapping = true\n" }),
            "2000 CPUs and 0 messages of devices are too much",
        ),
    ] {
        let reply = server.post("/api/open", &wanted);
        assert!(
            reply.status == 422 && reply.text().contains(expect),
            "{wanted}: {} {}",
            reply.status,
            reply.text()
        );
        assert!(reply.json()["error"]["help"].is_string() || !reply.json()["error"]["place"].is_null());
    }
}

#[test]
fn what_is_shared_is_the_file_that_the_command_line_writes() {
    let server = Server::start("share");
    let lines = [
        "taskset -c 4 dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct",
        "for i in 1 2; do\necho $i\ndone",
        "echo 0 > /sys/devices/system/cpu/cpu4/online",
        "cat /proc/irq/29/smp_affinity_list",
    ];
    let script = server.folder.with_extension("sh");
    std::fs::write(&script, lines.map(|line| format!("{line}\n")).concat()).unwrap();
    let out = server.folder.with_extension("html");
    let written = |options: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_irqlab"));
        command.args(["page", "--force", "-o"]).arg(&out).args(options);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(&out).unwrap()
    };
    let shared = |session: u64| {
        let reply = server.get(&format!("/api/share?session={session}"));
        assert_eq!(reply.header("content-disposition"), Some("attachment; filename=\"irqlab.html\""));
        reply.body
    };
    for kernel in ["v5.4", "v7.3"] {
        let session = server.open(&json!({ "kernel": kernel }));
        assert!(shared(session) == written(&["--kernel", kernel]), "{kernel}: the boot");
        for line in lines {
            assert_eq!(server.line(session, line)["failed"], false, "{line}");
        }
        let script = script.to_str().unwrap();
        assert!(shared(session) == written(&["--kernel", kernel, "--script", script]), "{kernel}: a script");
        // A look at the past changes nothing of what was done.
        server.line(session, ":back 3");
        assert!(
            shared(session) == written(&["--kernel", kernel, "--script", script]),
            "{kernel}: from the past"
        );
    }
    let _ = (std::fs::remove_file(&script), std::fs::remove_file(&out));
}

#[test]
fn no_file_is_written_and_what_is_saved_goes_to_the_browser() {
    let server = Server::start("files");
    let session = server.open(&json!({}));
    server.line(session, "echo 4 > /proc/irq/1/smp_affinity");
    let answer = server.line(session, ":save mine.sh");
    assert_eq!(answer["save"]["file"], "mine.sh");
    assert!(answer["save"]["text"].as_str().unwrap().contains("echo 4 > /proc/irq/1/smp_affinity"));
    let answer = server.line(session, ":export mine.json");
    assert!(answer["save"]["text"].as_str().unwrap().contains("\"schema\":\"irqlab-trace\""), "{answer}");
    // What is no text is Base64: a trace.dat begins with 17 08 44 and its name.
    let answer = server.line(session, ":export mine.dat");
    assert!(answer["save"]["base64"].as_str().unwrap().starts_with("FwhEdHJhY2luZ"), "{answer}");
    server.page(session);
    assert_eq!(std::fs::read_dir(&server.folder).unwrap().count(), 0);
    let opened = std::fs::read_dir(format!("/proc/{}/fd", server.child.id())).unwrap();
    let files: Vec<PathBuf> = opened.flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok()).collect();
    let is_file =
        |path: &&PathBuf| path.is_absolute() && Path::new("/dev/null") != path.as_path() && path.is_file();
    assert_eq!(files.iter().filter(is_file).count(), 0, "{files:?}");
}

#[test]
fn memory_stays_below_what_is_stated() {
    let server = Server::start("memory");
    // Clients that fill their sessions, more of them than there may be, and as heavy as they may be.
    let machine = |cpus: u32, controllers: u32| {
        let controller = |n: u32| {
            format!(
                "[[pci]]\naddress = \"0000:00:{:02x}.0\"\nmodel = \"nvme\"\nio_queue_pairs_max = {cpus}\n\
                 msix_vectors = {}\nintx_gsi = {}\n",
                n + 3,
                cpus + 1,
                n + 20
            )
        };
        let devices: String = (0..controllers).map(controller).collect();
        format!("kernel = \"v6.12\"\n[cpus]\npossible = {cpus}\n{devices}")
    };
    let reset = "echo 1 > /sys/class/nvme/nvme0/reset_controller";
    let fill = |session: u64| {
        let mut answer =
            server.line(session, &format!("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do {reset}; done"));
        while answer["stopped"] == "time" {
            answer = server.line(session, ":continue");
        }
        assert_eq!(answer["stopped"], "records", "{answer}");
        let text = answer["text"].as_str().unwrap();
        assert!(text.contains("a session has 100000 records at most here"), "{text}");
        server.page(session);
        for format in ["json", "events", "trace-cmd"] {
            let answer = server.line(session, &format!(":export x {format}"));
            let said = answer["text"].as_str().unwrap();
            assert!(
                answer["save"].is_object() || said.contains("MiB, and 16 are the most"),
                "{format}: {said}"
            );
        }
    };
    let mut first = None;
    for (round, (count, cpus, controllers)) in [(9, 64, 1), (9, 64, 1), (2, 200, 4)].into_iter().enumerate() {
        for n in 0..count {
            let session = server.open(&json!({ "text": machine(cpus, controllers) }));
            first = first.or(Some(session));
            if n == 0 { fill(session) } else { drop(server.line(session, reset)) }
        }
        println!("round {round}: {} MiB", server.memory());
        assert!(server.memory() < 1024, "round {round}: {} MiB", server.memory());
    }
    // The first sessions made room, and who had one is told.
    let reply = server.post("/api/line", &json!({ "session": first, "line": "echo" }));
    assert!(reply.status == 410 && reply.text().contains("was closed to make room"), "{}", reply.text());
}

#[test]
fn ctrl_c_ends_the_server_and_other_addresses_are_refused() {
    let mut server = Server::start("end");
    let idle = server.connect();
    let kill = Command::new("kill").args(["-INT", &server.child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = server.child.try_wait().unwrap() {
            break status;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "{status}");
    let _ = idle.shutdown(Shutdown::Both);
    let irqlab = |options: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_irqlab")).arg("serve").args(options).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{options:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for address in ["0.0.0.0", "192.168.1.1", "::1", "localhost"] {
        let said = irqlab(&["--address", address]);
        assert!(said.contains("expected an address of 127.0.0.0/8"), "{said}");
    }
    assert!(irqlab(&["nothing.toml"]).contains("nothing.toml"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    assert!(irqlab(&["--port", &port]).contains("cannot listen at 127.0.0.1, port "));
}
