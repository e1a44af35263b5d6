//! The ledger's promises, kept by both databases: the same suite on a file of SQLite and on a real PostgreSQL.

#[path = "../common/postgres.rs"]
mod postgres;

use std::collections::BTreeSet;
use std::task::Poll;
use std::time::Duration;

use postgres::Postgres;
use vejr::atmos::LeadTime;
use vejr::forecast::{Admission, Ensemble, Ledger, LedgerError, NewRun, RunFault, RunFilter, RunPhase, RunRequest};
use vejr::store::{Encoding, ForecastPath, Statistics};

const LIMITS: Admission = Admission { queue: 100, per_client: 100 };
const LONG: Duration = Duration::from_secs(60);
/// A lease that has run out when the call that took it returns.
const GONE: Duration = Duration::ZERO;

fn new_run(key: &str) -> NewRun {
    NewRun {
        path: ForecastPath {
            model: "planet".to_owned(),
            reference_time: "2026-11-24T06:00Z".parse().unwrap(),
            run_key: key.to_owned(),
        },
        model_digest: "digest".to_owned(),
        steps_total: 3,
        request: RunRequest {
            lead_time: LeadTime::from_hours(12),
            ensemble: Ensemble::SINGLE,
            statistics: Statistics::default(),
            encoding: Encoding::Float32,
            true_winds: false,
            init: vec!["analysis of 6 o'clock; \"quoted\".nc".to_owned()],
            boundary: Vec::new(),
            regrid: Vec::new(),
            trust_units: Vec::new(),
            fingerprint: "f".to_owned(),
        },
        client: "somebody".to_owned(),
        request_id: None,
        start_within: None,
    }
}

fn digests() -> Vec<String> {
    vec!["another".to_owned(), "digest".to_owned()]
}

async fn phase(ledger: &Ledger, key: &str) -> RunPhase {
    ledger.run(key).await.unwrap().unwrap().phase
}

/// Events are numbered from 1 without gaps, whatever happened.
async fn check_events(ledger: &Ledger, key: &str) -> Vec<(RunPhase, usize)> {
    let events = ledger.events(key, 0, 1_000_000).await.unwrap();
    let numbers: Vec<i64> = events.iter().map(|event| event.number).collect();
    assert_eq!(numbers, (1..=i64::try_from(events.len()).unwrap()).collect::<Vec<_>>());
    assert_eq!(ledger.run(key).await.unwrap().unwrap().events, numbers.len() as i64);
    events.iter().map(|event| (event.phase, event.steps_complete)).collect()
}

/// A run's whole life, and what is told of it.
async fn a_run_goes_its_way(ledger: &Ledger) {
    let run = new_run("life");
    let (record, joined) = ledger.request(&run, LIMITS).await.unwrap();
    assert!(!joined);
    assert_eq!((record.phase, record.steps_complete, record.steps_total), (RunPhase::Queued, 0, 3));
    assert_eq!((&record.path, &record.request, record.client.as_str()), (&run.path, &run.request, "somebody"));
    assert_eq!(ledger.claim("w", &["other".to_owned()], LONG).await.unwrap(), None, "of a model that it does not have");
    let lease = ledger.claim("w", &digests(), LONG).await.unwrap().unwrap();
    assert_eq!((lease.run.path.run_key.as_str(), lease.run.phase), ("life", RunPhase::Running));
    assert_eq!(ledger.claim("v", &digests(), LONG).await.unwrap(), None, "nobody takes what is held");
    ledger.begins(&lease, 0).await.unwrap();
    for steps in 1..=3 {
        ledger.published(&lease, steps).await.unwrap();
        ledger.renew(&lease, LONG).await.unwrap();
    }
    ledger.completes(&lease).await.unwrap();
    assert_eq!(phase(ledger, "life").await, RunPhase::Publishing);
    ledger.finish(&lease, 3).await.unwrap();
    use RunPhase::{Done, Publishing, Queued, Running};
    let expected = [(Queued, 0), (Running, 0), (Running, 1), (Running, 2), (Running, 3), (Publishing, 3), (Done, 3)];
    assert_eq!(check_events(ledger, "life").await, expected);
    assert_eq!(ledger.events("life", 5, 1).await.unwrap()[0].phase, Publishing, "after the fifth, one");
    let attempts = ledger.attempts("life").await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].first_step, attempts[0].steps, attempts[0].outcome.as_str()), (Some(0), 3, "done"));
    // who asks for it now has it
    assert!(ledger.request(&run, LIMITS).await.unwrap().1);
    assert_eq!(phase(ledger, "life").await, Done);
    assert!(matches!(ledger.renew(&lease, LONG).await, Err(LedgerError::LeaseLost)));
    let record = ledger.cancel("life", "too late").await.unwrap();
    assert_eq!(record.phase, Done, "what is done cannot be cancelled");
}

/// Whoever was not heard of cannot say anything any more.
async fn the_newest_lease_counts(ledger: &Ledger) {
    ledger.request(&new_run("fenced"), LIMITS).await.unwrap();
    let old = ledger.claim("old", &digests(), GONE).await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let new = ledger.claim("new", &digests(), LONG).await.unwrap().unwrap();
    assert_eq!((new.run.path.run_key.as_str(), new.fruitless), ("fenced", 2));
    assert!(new.token > old.token);
    let lost = [
        ledger.renew(&old, LONG).await,
        ledger.begins(&old, 1).await,
        ledger.published(&old, 1).await,
        ledger.completes(&old).await,
        ledger.finish(&old, 3).await,
        ledger.give_back(&old, GONE, "").await,
        ledger.fail(&old, RunFault::Other, "").await,
    ];
    assert!(lost.iter().all(|outcome| matches!(outcome, Err(LedgerError::LeaseLost))), "{lost:?}");
    assert_eq!(ledger.run("fenced").await.unwrap().unwrap().steps_complete, 0);
    // steps that the old one published and could not tell of
    ledger.begins(&new, 2).await.unwrap();
    assert_eq!(ledger.run("fenced").await.unwrap().unwrap().steps_complete, 2);
    ledger.published(&new, 3).await.unwrap();
    let outcomes: Vec<String> =
        ledger.attempts("fenced").await.unwrap().into_iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, ["not heard of any more", ""]);
    // one that publishes has not been fruitless
    ledger.give_back(&new, GONE, "the store is full").await.unwrap();
    assert_eq!(ledger.run("fenced").await.unwrap().unwrap().reason, "the store is full");
    tokio::time::sleep(Duration::from_millis(5)).await;
    let again = ledger.claim("again", &digests(), LONG).await.unwrap().unwrap();
    assert_eq!((again.run.path.run_key.as_str(), again.fruitless), ("fenced", 1));
    assert_eq!(again.run.reason, "", "it is at work");
    ledger.give_back(&again, LONG, "later").await.unwrap();
    assert_eq!(ledger.claim("soon", &digests(), LONG).await.unwrap(), None, "not before the delay");
    ledger.cancel("fenced", "").await.unwrap();
    check_events(ledger, "fenced").await;
}

async fn an_ended_run_can_be_asked_for_again(ledger: &Ledger) {
    let run = new_run("again");
    ledger.request(&run, LIMITS).await.unwrap();
    let lease = ledger.claim("w", &digests(), LONG).await.unwrap().unwrap();
    ledger.fail(&lease, RunFault::Input, "t is missing").await.unwrap();
    let record = ledger.run("again").await.unwrap().unwrap();
    assert_eq!(
        (record.phase, record.fault, record.reason.as_str()),
        (RunPhase::Failed, Some(RunFault::Input), "t is missing")
    );
    assert_eq!(ledger.claim("w", &digests(), LONG).await.unwrap(), None);
    let (record, joined) = ledger.request(&run, LIMITS).await.unwrap();
    assert_eq!((record.phase, record.fault, record.reason.as_str(), joined), (RunPhase::Queued, None, "", false));
    let record = ledger.cancel("again", "by its client").await.unwrap();
    assert_eq!((record.phase, record.reason.as_str()), (RunPhase::Cancelled, "by its client"));
    assert_eq!(ledger.cancel("again", "twice").await.unwrap().reason, "by its client");
    assert!(matches!(ledger.cancel("unknown", "").await, Err(LedgerError::NotFound(_))));
    // a worker that is at it is told
    ledger.request(&run, LIMITS).await.unwrap();
    let lease = ledger.claim("w", &digests(), LONG).await.unwrap().unwrap();
    ledger.cancel("again", "").await.unwrap();
    assert!(matches!(ledger.renew(&lease, LONG).await, Err(LedgerError::LeaseLost)));
    check_events(ledger, "again").await;
}

async fn a_deadline_ends_what_was_not_begun(ledger: &Ledger) {
    for (key, within) in [("late", Some(Duration::from_millis(1))), ("early", Some(LONG)), ("whenever", None)] {
        ledger.request(&NewRun { start_within: within, ..new_run(key) }, LIMITS).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(ledger.expire().await.unwrap(), 1);
    assert_eq!(phase(ledger, "late").await, RunPhase::Expired);
    assert_eq!(phase(ledger, "early").await, RunPhase::Queued);
    assert_eq!(ledger.expire().await.unwrap(), 0);
    for key in ["early", "whenever"] {
        ledger.cancel(key, "").await.unwrap();
    }
}

async fn a_request_that_names_itself_is_taken_once(ledger: &Ledger) {
    let named = |key: &str, id: &str| NewRun { request_id: Some(id.to_owned()), ..new_run(key) };
    assert!(!ledger.request(&named("named", "r1"), LIMITS).await.unwrap().1);
    ledger.cancel("named", "").await.unwrap();
    // the same request again does not begin it again
    let (record, joined) = ledger.request(&named("named", "r1"), LIMITS).await.unwrap();
    assert_eq!((record.phase, joined), (RunPhase::Cancelled, true));
    let taken = ledger.request(&named("other", "r1"), LIMITS).await;
    assert!(matches!(taken, Err(LedgerError::RequestIdTaken { .. })), "{taken:?}");
    assert_eq!(ledger.run("other").await.unwrap(), None);
}

/// A hundred at once: one run.
async fn identical_requests_are_one_run(ledger: &Ledger) {
    let requests = (0..100).map(|_| {
        let ledger = ledger.clone();
        tokio::spawn(async move { ledger.request(&new_run("same"), LIMITS).await.unwrap().1 })
    });
    let mut joined = Vec::new();
    for request in requests.collect::<Vec<_>>() {
        joined.push(request.await.unwrap());
    }
    assert_eq!(joined.iter().filter(|joined| !**joined).count(), 1);
    assert_eq!(ledger.run("same").await.unwrap().unwrap().joined, 99);
    ledger.cancel("same", "").await.unwrap();
}

/// The limit is the limit, however many come at once; nothing that was accepted is lost.
async fn a_full_queue_takes_nothing_more(ledger: &Ledger) {
    let limits = Admission { queue: 10, per_client: 6 };
    let requests = (0..60).map(|n| {
        let ledger = ledger.clone();
        let run = NewRun { client: format!("client {}", n % 3), ..new_run(&format!("flood{n}")) };
        tokio::spawn(async move { (run.path.run_key.clone(), ledger.request(&run, limits).await) })
    });
    let mut accepted = Vec::new();
    let mut refused = 0;
    for request in requests.collect::<Vec<_>>() {
        match request.await.unwrap() {
            (key, Ok(_)) => accepted.push(key),
            (_, Err(LedgerError::QueueFull { limit: 10 } | LedgerError::ShareFull { limit: 6, .. })) => refused += 1,
            (_, Err(error)) => panic!("{error}"),
        }
    }
    assert_eq!((accepted.len(), refused), (10, 50));
    let depth = ledger.depth().await.unwrap();
    assert!(depth.runs.contains(&(RunPhase::Queued, 10)), "{depth:?}");
    // who joins needs no room
    assert!(ledger.request(&new_run(&accepted[0]), limits).await.unwrap().1);
    let one = NewRun { client: "one".to_owned(), ..new_run("one") };
    let share = ledger.request(&one, Admission { queue: 100, per_client: 0 }).await;
    assert!(matches!(share, Err(LedgerError::ShareFull { .. })));
    // many workers at once: each run is one's
    let workers = (0..20).map(|n| {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            let mut taken = Vec::new();
            while let Some(lease) = ledger.claim(&format!("w{n}"), &digests(), LONG).await.unwrap() {
                taken.push(lease.run.path.run_key.clone());
                ledger.finish(&lease, 3).await.unwrap();
            }
            taken
        })
    });
    let mut taken = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        taken.extend(worker.await.unwrap());
    }
    // one that lost a race may have seen nothing: what is left is taken now
    while let Some(lease) = ledger.claim("last", &digests(), LONG).await.unwrap() {
        taken.push(lease.run.path.run_key.clone());
        ledger.finish(&lease, 3).await.unwrap();
    }
    assert_eq!(taken.len(), 10, "each once: {taken:?}");
    assert_eq!(taken.into_iter().collect::<BTreeSet<_>>(), accepted.into_iter().collect());
}

async fn lists_have_pages(ledger: &Ledger) {
    for (hour, key) in [("00", "p1"), ("06", "p2"), ("06", "p3"), ("12", "p4")] {
        let mut run = new_run(key);
        run.path.model = "paged".to_owned();
        run.path.reference_time = format!("2026-11-24T{hour}:00Z").parse().unwrap();
        ledger.request(&run, LIMITS).await.unwrap();
    }
    ledger.cancel("p3", "").await.unwrap();
    let of_model = RunFilter { model: "paged".to_owned(), ..RunFilter::default() };
    let mut seen = Vec::new();
    let mut last = None;
    loop {
        let page = ledger.list(&of_model, last.as_ref(), 2).await.unwrap();
        let Some(end) = page.last() else { break };
        last = Some(end.path.clone());
        seen.extend(page.into_iter().map(|run| run.path.run_key));
    }
    assert_eq!(seen, ["p4", "p2", "p3", "p1"]);
    let keys = async |filter: RunFilter| -> Vec<String> {
        ledger.list(&filter, None, 10).await.unwrap().into_iter().map(|run| run.path.run_key).collect()
    };
    let cancelled = RunFilter { phases: vec![RunPhase::Cancelled], ..of_model.clone() };
    assert_eq!(keys(cancelled).await, ["p3"]);
    let time = |text: &str| Some(text.parse().unwrap());
    let between = RunFilter { from: time("2026-11-24T06:00Z"), until: time("2026-11-24T06:00Z"), ..of_model.clone() };
    assert_eq!(keys(between).await, ["p2", "p3"]);
    for key in ["p1", "p2", "p4"] {
        ledger.cancel(key, "").await.unwrap();
    }
}

/// An ensemble's members are many workers'; the run is done when all of them are.
async fn parts_are_many_workers(ledger: &Ledger) {
    let mut run = new_run("parts");
    run.request.ensemble = Ensemble { members: 5, side_by_side: 2, ..Ensemble::SINGLE };
    ledger.request(&run, LIMITS).await.unwrap();
    let claim = async |holder: &str| ledger.claim(holder, &digests(), LONG).await.unwrap();
    let mut leases = Vec::new();
    for holder in ["a", "b", "c"] {
        leases.push(claim(holder).await.unwrap());
    }
    assert_eq!(claim("d").await, None, "three parts of two members");
    let members: Vec<_> = leases.iter().map(|lease| run.request.ensemble.part(lease.part as usize)).collect();
    assert_eq!(members, [0..2, 2..4, 4..5]);
    for lease in &leases {
        ledger.begins(lease, 0).await.unwrap();
    }
    ledger.published_of(&leases[0], 1, "member 1, step 0").await.unwrap();
    assert_eq!(ledger.run("parts").await.unwrap().unwrap().steps_complete, 0, "not all members have it");
    for lease in &leases[1..] {
        ledger.published(lease, 1).await.unwrap();
    }
    assert_eq!(ledger.run("parts").await.unwrap().unwrap().steps_complete, 1);
    let last = ledger.events("parts", 0, 100).await.unwrap();
    assert!(last.iter().any(|event| event.detail == "member 1, step 0"));
    // one ends early, one finds everything there and finishes, one is late to say that it has ended
    ledger.finish(&leases[0], 3).await.unwrap();
    assert_eq!(phase(ledger, "parts").await, RunPhase::Running);
    ledger.completes(&leases[1]).await.unwrap();
    ledger.published(&leases[2], 3).await.unwrap();
    assert_eq!(phase(ledger, "parts").await, RunPhase::Publishing, "what is being finished stays so");
    let (second, third) = (leases[1].clone(), leases[2].clone());
    let (a, b) = tokio::join!(ledger.finish(&second, 3), ledger.finish(&third, 3));
    a.unwrap();
    b.unwrap();
    assert_eq!(phase(ledger, "parts").await, RunPhase::Done);
    check_events(ledger, "parts").await;

    // one that fails takes the others' leases with it
    run.path.run_key = "apart".to_owned();
    ledger.request(&run, LIMITS).await.unwrap();
    let (one, other) = (claim("a").await.unwrap(), claim("b").await.unwrap());
    ledger.fail(&one, RunFault::Other, "it blew up").await.unwrap();
    assert!(matches!(ledger.renew(&other, LONG).await, Err(LedgerError::LeaseLost)));
    assert!(matches!(ledger.published(&other, 1).await, Err(LedgerError::LeaseLost)));
    assert_eq!(claim("c").await, None);
    assert!(ledger.attempts("apart").await.unwrap().iter().all(|attempt| attempt.ended.is_some()));
    // asked for again it is begun again, all parts of it
    ledger.request(&run, LIMITS).await.unwrap();
    assert_eq!(phase(ledger, "apart").await, RunPhase::Queued);
    for _ in 0..3 {
        ledger.finish(&claim("d").await.unwrap(), 3).await.unwrap();
    }
    assert_eq!(phase(ledger, "apart").await, RunPhase::Done);
}

async fn suite(url: &str) {
    let ledger = Ledger::open(url).await.unwrap();
    // opened twice, at the same time: the layout is there once
    let again = Ledger::open(url).await.unwrap();
    again.probe().await.unwrap();
    a_run_goes_its_way(&ledger).await;
    the_newest_lease_counts(&ledger).await;
    an_ended_run_can_be_asked_for_again(&again).await;
    a_deadline_ends_what_was_not_begun(&ledger).await;
    a_request_that_names_itself_is_taken_once(&ledger).await;
    identical_requests_are_one_run(&ledger).await;
    a_full_queue_takes_nothing_more(&ledger).await;
    lists_have_pages(&ledger).await;
    parts_are_many_workers(&ledger).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    suite(&format!("sqlite:{}", folder.path().join("the ledger#1?.sqlite").display()).replace('?', "")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_postgresql() {
    let Some(server) = Postgres::start() else { return };
    suite(&server.database("runs")).await;
}

/// A worker stops between two statements of a transaction, wherever that is, and stays so: the others go on.
#[tokio::test]
async fn who_stops_in_the_middle_of_a_transaction_holds_nobody_up() {
    let Some(server) = Postgres::start() else { return };
    let url = server.database("stopped");
    let ledger = Ledger::open(&url).await.unwrap();
    let other = Ledger::open(&url).await.unwrap();
    let mut stopped = Vec::new();
    let mut in_the_middle = 0;
    for polls in 1..20 {
        let run = new_run(&format!("run-{polls:02}"));
        ledger.request(&run, LIMITS).await.unwrap();
        let lease = ledger.claim("stops", &digests(), GONE).await.unwrap().unwrap();
        assert_eq!(lease.run.path, run.path);
        let ledger = ledger.clone();
        let mut telling = Box::pin(async move { ledger.published(&lease, 1).await });
        let mut ended = false;
        for _ in 0..polls {
            ended = std::future::poll_fn(|cx| Poll::Ready(telling.as_mut().poll(cx).is_ready())).await;
            if ended {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if ended {
            break;
        }
        in_the_middle += 1;
        let taken = tokio::time::timeout(Duration::from_secs(9), async {
            while other.claim("goes on", &digests(), LONG).await.unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        assert!(taken.await.is_ok(), "stopped after {polls} polls, it keeps the run from everybody");
        stopped.push((run.path.run_key, telling));
        if stopped.len() > 4 {
            // its connections are all in use
            break;
        }
    }
    assert!(in_the_middle > 1);
    for (run_key, telling) in stopped {
        match telling.await {
            // all was done, and only the answer had not been read
            Ok(()) => assert_eq!(ledger.attempts(&run_key).await.unwrap()[0].steps, 1),
            Err(late) => {
                assert!(matches!(late, LedgerError::Database(_) | LedgerError::LeaseLost), "{late}");
                assert_eq!(ledger.attempts(&run_key).await.unwrap()[0].steps, 0);
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_ledger_is_refused_without_telling_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let missing = format!("sqlite:{}", folder.path().join("no/such/folder/l.sqlite").display());
    let not_one = folder.path().join("text.sqlite");
    std::fs::write(&not_one, "no database at all, but a text of more than a hundred characters ".repeat(9)).unwrap();
    let not_one = format!("sqlite:{}", not_one.display());
    for url in [
        "",
        "ledger.sqlite",
        "sqlite:",
        "mysql://a:secret@b/c",
        "postgres://u:secret@127.0.0.1:1/x",
        &missing,
        &not_one,
    ] {
        let error = Ledger::open(url).await.unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        assert!(error.contains("ledger"), "{error}");
    }
}
