//! The paths of the server, on hyper.

use core::cell::RefCell;
use core::convert::Infallible;
use core::future::Future;
use core::net::{Ipv4Addr, SocketAddr};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use diagnostic::Report;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sim::machine::Machine;
use sim::script::Script;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

use crate::guard::{Guard, Known};
use crate::limits;
use crate::open::{Mistake, Offer, Wanted, choices, open, weight};
use crate::room::{Place, Room, Workbench};
use crate::rooms::{Missing, Rooms};
use crate::token::Token;

/// Where to listen, and what is offered.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address: one of loopback.
    pub address: Ipv4Addr,
    /// The port; 0 is one that is free.
    pub port: u16,
    /// Machines to choose from; the first is opened where nothing else is asked for.
    pub machines: Vec<Offer>,
}

/// A server that listens, and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: std::net::TcpListener,
    state: State,
}

#[derive(Debug)]
struct State {
    guard: Guard,
    machines: Vec<Offer>,
    rooms: RefCell<Rooms>,
    bench: Workbench,
}

type Reply = Response<Full<Bytes>>;

/// An answer that is no success.
struct Failure {
    status: StatusCode,
    mistake: Mistake,
}

impl From<Mistake> for Failure {
    fn from(mistake: Mistake) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, mistake }
    }
}

impl From<Report> for Failure {
    fn from(report: Report) -> Self {
        Mistake::from(report).into()
    }
}

impl Failure {
    fn new(status: StatusCode, message: impl Into<String>, expected: &str) -> Self {
        Self { status, mistake: Mistake::new(message, expected) }
    }
}

impl Server {
    /// Listens.
    ///
    /// # Errors
    /// For an address that is no loopback address or cannot be listened at, and where the system has no chance to give.
    pub fn listen(options: Options) -> io::Result<Self> {
        let Options { address, port, machines } = options;
        if !address.is_loopback() {
            let why = format!("{address} is an address that others can reach; expected one of 127.0.0.0/8");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let token = Token::new().map_err(io::Error::other)?;
        let listener = std::net::TcpListener::bind((address, port))?;
        listener.set_nonblocking(true)?;
        let guard = Guard::new(listener.local_addr()?, token);
        let state = State { guard, machines, rooms: RefCell::default(), bench: Workbench::default() };
        Ok(Self { listener, state })
    }

    /// The address to open, with the token in it.
    pub fn address(&self) -> String {
        self.state.guard.address()
    }

    /// Answers until Ctrl-C, or until the process is asked to end. `begun` is called once these are caught, and says
    /// whether to go on: who learns the address from it can end the server in order from then on.
    ///
    /// # Errors
    /// Where the system has no means to do so.
    pub fn run(self, begun: impl FnOnce() -> bool) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let result = LocalSet::new().block_on(&runtime, self.serve(begun));
        // A session may be in the middle of a step, and nobody waits for it.
        runtime.shutdown_background();
        result
    }

    async fn serve(self, begun: impl FnOnce() -> bool) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener)?;
        let state = Rc::new(self.state);
        let places = Arc::new(Semaphore::new(limits::CONNECTIONS));
        let mut end = core::pin::pin!(end()?);
        if !begun() {
            return Ok(());
        }
        loop {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut end => break,
            };
            // Out of files, perhaps: the next one may be luckier.
            let Ok((stream, peer)) = accepted else {
                tokio::time::sleep(core::time::Duration::from_millis(50)).await;
                continue;
            };
            let state = Rc::clone(&state);
            tokio::task::spawn_local(async move {
                connection(stream, peer, state).await;
                drop(place);
            });
        }
        state.rooms.borrow().interrupt();
        Ok(())
    }
}

/// Is over when the process is asked to end.
fn end() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

async fn connection(stream: TcpStream, peer: SocketAddr, state: Rc<State>) {
    if !peer.ip().is_loopback() {
        return;
    }
    let service = service_fn(|request| {
        let state = Rc::clone(&state);
        async move { Ok::<_, Infallible>(state.answer(request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits::HEAD_TIME).max_buf_size(64 << 10);
    // A client that goes away, or speaks no HTTP, is nobody's mistake here.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfSession {
    session: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineOf {
    session: u64,
    line: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    script: Option<String>,
    machine: Option<String>,
}

#[derive(Serialize)]
struct OpenedAs<'a> {
    session: u64,
    name: &'a str,
    kernel: &'static str,
    cpus: u32,
    machine: &'a str,
    script: Option<&'static str>,
    /// The sessions that were closed for this one.
    closed: Vec<u64>,
    #[serde(flatten)]
    place: Place,
}

#[derive(Serialize)]
struct Mistakes {
    mistakes: Vec<Mistake>,
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let mut reply = match self.guard.check(request.uri(), request.headers()) {
            Err(refusal) => {
                let (status, why) = refusal.answer();
                plain(status, why)
            }
            Ok(Known::Address) => self.exchange(&request),
            Ok(Known::Already) => self.route(request).await.unwrap_or_else(|failure| {
                json(failure.status, &serde_json::json!({ "error": failure.mistake }))
            }),
        };
        harden(reply.headers_mut());
        reply
    }

    /// The token of the address becomes a cookie, and leaves the address.
    fn exchange(&self, request: &Request<Incoming>) -> Reply {
        let mut reply = plain(StatusCode::SEE_OTHER, "");
        let path = request.uri().path();
        let headers = reply.headers_mut();
        // A path that begins with two slashes would be another host.
        let to = if path.starts_with("//") { "/" } else { path };
        headers.insert(header::LOCATION, HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/")));
        if let Ok(cookie) = HeaderValue::from_str(&self.guard.cookie()) {
            headers.insert(header::SET_COOKIE, cookie);
        }
        reply
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Reply, Failure> {
        let path = request.uri().path().to_owned();
        match (request.method(), path.as_str()) {
            (&Method::GET, "/") => index(),
            (&Method::GET, "/api/choices") => Ok(json(StatusCode::OK, &choices(&self.machines))),
            (&Method::GET, "/api/page") => {
                let made = self.room(queried(&request)?)?.page().await?;
                let mut reply = Response::new(Full::new(Bytes::from_owner(Shared(made.packed))));
                let headers = reply.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                headers.insert(HeaderName::from_static("irqlab-records"), made.place.records.into());
                Ok(reply)
            }
            (&Method::GET, "/api/share") => {
                let html = self.room(queried(&request)?)?.share().await?;
                let mut reply = text(StatusCode::OK, "text/html; charset=utf-8", html);
                let name = HeaderValue::from_static("attachment; filename=\"irqlab.html\"");
                reply.headers_mut().insert(header::CONTENT_DISPOSITION, name);
                Ok(reply)
            }
            (&Method::POST, "/api/open") => {
                let opened = open(&body::<Wanted>(request).await?, &self.machines)?;
                let (name, kernel) = (opened.name.clone(), opened.semantics.version.name());
                let (cpus, machine, script) = (opened.machine.possible, opened.text.clone(), opened.script);
                let weight = weight(&opened.machine);
                let mut closed = self.rooms.borrow_mut().make_room(weight);
                let (room, place) = Room::open(opened, Arc::clone(&self.bench)).await?;
                // Others may have come meanwhile.
                let mut rooms = self.rooms.borrow_mut();
                closed.extend(rooms.make_room(weight));
                let session = rooms.add(room, weight);
                drop(rooms);
                let machine = &machine;
                let as_what = OpenedAs { session, name: &name, kernel, cpus, machine, script, closed, place };
                Ok(json(StatusCode::OK, &as_what))
            }
            (&Method::POST, "/api/line") => {
                let LineOf { session, line } = body(request).await?;
                Ok(json(StatusCode::OK, &self.room(session)?.line(line).await?))
            }
            (&Method::POST, "/api/check") => {
                let texts = body::<Texts>(request).await?;
                Ok(json(StatusCode::OK, &Mistakes { mistakes: mistakes(&texts) }))
            }
            (&Method::POST, "/api/interrupt") => {
                let OfSession { session } = body(request).await?;
                self.room(session)?.interrupt();
                Ok(json(StatusCode::OK, &serde_json::json!({})))
            }
            (&Method::POST, "/api/close") => {
                let OfSession { session } = body(request).await?;
                self.room(session)?;
                self.rooms.borrow_mut().close(session);
                Ok(json(StatusCode::OK, &serde_json::json!({})))
            }
            (method, path) => {
                let get = ["/", "/api/choices", "/api/page", "/api/share"];
                let post = ["/api/open", "/api/line", "/api/check", "/api/interrupt", "/api/close"];
                let known =
                    if get.contains(&path) { Some("GET") } else { post.contains(&path).then_some("POST") };
                Err(match known {
                    Some(known) => {
                        let what = format!("{method} is no method of {path}");
                        Failure::new(StatusCode::METHOD_NOT_ALLOWED, what, known)
                    }
                    None => Failure::new(
                        StatusCode::NOT_FOUND,
                        format!("there is nothing at {path}"),
                        "a path of docs/serve.md",
                    ),
                })
            }
        }
    }

    fn room(&self, session: u64) -> Result<Room, Failure> {
        self.rooms.borrow_mut().get(session).map_err(|missing| match missing {
            Missing::Closed => Failure::new(
                StatusCode::GONE,
                format!("session {session} was closed to make room for another one"),
                "another one: open the machine again",
            ),
            Missing::Unknown => Failure::new(
                StatusCode::NOT_FOUND,
                format!("there is no session {session}"),
                "one that was opened",
            ),
        })
    }
}

/// The packed page, which the session keeps as well.
struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// What is wrong with texts that somebody is writing.
fn mistakes(texts: &Texts) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    if let Some(script) = &texts.script
        && let Err(e) = Script::parse("script.sh", script)
    {
        mistakes.push(Report::from(e).into());
    }
    if let Some(machine) = &texts.machine
        && let Err(e) = Machine::parse("machine.toml", machine)
    {
        mistakes.push(Report::from(e).into());
    }
    mistakes
}

/// The session that the query names.
fn queried(request: &Request<Incoming>) -> Result<u64, Failure> {
    let query = request.uri().query().unwrap_or("");
    let session = query.strip_prefix("session=").and_then(|number| number.parse().ok());
    session.ok_or_else(|| {
        let found = format!("`?{query}` names no session");
        Failure::new(StatusCode::BAD_REQUEST, &found, "`?session=`, a number and nothing else")
    })
}

/// Reads a body of JSON, which is small, and which no form of another page can send.
async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Failure> {
    let too_large = || {
        Failure::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body of this request is too large",
            &format!("at most {} KiB", limits::BODY >> 10),
        )
    };
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_json =
        kind.and_then(|kind| kind.split(';').next()).is_some_and(|kind| kind.trim() == "application/json");
    if request.body().size_hint().lower() > limits::BODY as u64 {
        return Err(too_large());
    }
    if !is_json {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Failure::new(
            status,
            "the body of this request is no JSON",
            "Content-Type: application/json",
        ));
    }
    let collected = Limited::new(request.into_body(), limits::BODY).collect();
    let collected = match tokio::time::timeout(limits::HEAD_TIME, collected).await {
        Err(_) => {
            return Err(Failure::new(
                StatusCode::REQUEST_TIMEOUT,
                "the body of this request does not come",
                "it within ten seconds",
            ));
        }
        Ok(Err(e)) if e.downcast_ref::<LengthLimitError>().is_some() => return Err(too_large()),
        Ok(Err(_)) => return Err(Failure::new(StatusCode::BAD_REQUEST, "the body broke off", "all of it")),
        Ok(Ok(collected)) => collected.to_bytes(),
    };
    serde_json::from_slice(&collected).map_err(|e| {
        Failure::new(
            StatusCode::BAD_REQUEST,
            format!("the body of this request is not right: {e}"),
            "docs/serve.md",
        )
    })
}

/// The page without a run, which asks this server for one. Its own script and style may run, and nothing else: they have a
/// number that is another one each time.
fn index() -> Result<Reply, Failure> {
    let no_chance =
        |_| Failure::new(StatusCode::SERVICE_UNAVAILABLE, "the system has no chance to give", "some");
    let nonce = Token::new().map_err(no_chance)?;
    let nonce = nonce.as_str();
    let mut reply =
        text(StatusCode::OK, "text/html; charset=utf-8", with_nonce(&page::viewer("irqlab"), nonce));
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        reply.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Ok(reply)
}

/// Gives scripts and styles their number. Their text ends at the first closing tag, as a browser has it.
fn with_nonce(html: &str, nonce: &str) -> String {
    let mut out = String::with_capacity(html.len() + 256);
    let mut rest = html;
    loop {
        let next = [("<script", "</script"), ("<style", "</style")]
            .into_iter()
            .filter_map(|(open, close)| Some((rest.find(open)?, open, close)))
            .min_by_key(|(at, ..)| *at);
        let Some((at, open, close)) = next else { return out + rest };
        let (before, tag) = rest.split_at(at + open.len());
        out.push_str(before);
        out.push_str(&format!(" nonce=\"{nonce}\""));
        let end = tag.find(close).unwrap_or(tag.len());
        out.push_str(&tag[..end]);
        rest = &tag[end..];
    }
}

fn text(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(text.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}

fn plain(status: StatusCode, sentence: &str) -> Reply {
    let line = if sentence.is_empty() { String::new() } else { format!("{sentence}\n") };
    text(status, "text/plain; charset=utf-8", line)
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Reply {
    // Strings, numbers and lists of them always have a form in JSON.
    text(status, "application/json", serde_json::to_vec(value).unwrap_or_default())
}

/// What every answer says to a browser: nothing of it is for other pages, frames, caches or guesses.
fn harden(headers: &mut HeaderMap) {
    let always = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in always {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tags_of_the_page_get_a_number() {
        assert_eq!(
            with_nonce("<style>a</style><script id=\"d\">x</script><script>\"<script\"</script>z", "n"),
            "<style nonce=\"n\">a</style><script nonce=\"n\" id=\"d\">x</script>\
             <script nonce=\"n\">\"<script\"</script>z"
        );
        assert_eq!(with_nonce("<script", "n"), "<script nonce=\"n\"");
    }
}
