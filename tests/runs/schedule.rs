//! Forecasts that a schedule makes: when their analysis is there, of each analysis, and kept for as long as was said.

use std::path::Path;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::Value;
use vejr::atmos::ReferenceTime;
use vejr::serve::v1;

use crate::site::{self, MODEL, Site, TIMES, root};

/// A site whose analyses appear in a folder, one file for each time, and a schedule of its own.
fn site(schedule: &str) -> Site {
    let site = Site::new(None, "devices = [\"cpu\"]");
    let analyses = site.path("analyses");
    std::fs::create_dir(&analyses).unwrap();
    let sample = format!("{}/data-samples/held-suarez-init.nc", root().display());
    let pattern = format!("{}/{{reference_time}}.nc", analyses.display());
    let config = std::fs::read_to_string(site.path("vejr.toml")).unwrap().replace(&sample, &pattern);
    std::fs::write(site.path("vejr.toml"), format!("{config}\n[[schedule]]\nmodel = \"{MODEL}\"\n{schedule}\n"))
        .unwrap();
    site
}

/// The sample's first state as the analysis of another time, put there as a whole.
fn analysis(site: &Site, time: DateTime<Utc>, warmer: i16) {
    let there = site.path("analyses").join(format!("{}.nc", ReferenceTime::new(time).compact()));
    let staged = there.with_extension("part");
    std::fs::copy(root().join("data-samples/held-suarez-init.nc"), &staged).unwrap();
    {
        let mut file = netcdf::append(&staged).unwrap();
        let epoch = DateTime::parse_from_rfc3339("2001-01-01T00:00:00Z").unwrap();
        let minutes = (time - epoch.to_utc()).num_minutes();
        let mut times = file.variable_mut("time").unwrap();
        times.put_attribute("units", "minutes since 2001-01-01 00:00:00").unwrap();
        times.put_values(&[minutes as f64, minutes as f64 + 360.0, minutes as f64 + 720.0], ..).unwrap();
        let mut pressure = file.variable_mut("sp").unwrap();
        let values: Vec<i16> = pressure.get_values::<i16, _>(..).unwrap();
        pressure.put_values(&values.iter().map(|value| value.saturating_sub(warmer)).collect::<Vec<_>>(), ..).unwrap();
    }
    std::fs::rename(staged, there).unwrap();
}

fn listed(site: &Site) -> Vec<Value> {
    let output = site.vejr(&["schedule", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<Vec<Value>>(&output.stdout).unwrap()
}

fn of(site: &Site, time: DateTime<Utc>) -> Value {
    let time = ReferenceTime::new(time).to_string();
    listed(site).into_iter().find(|one| one["reference_time"] == time).unwrap_or(Value::Null)
}

async fn is_complete(site: &Site, forecast: &Value) -> bool {
    let name = forecast.as_str().unwrap_or_default().to_owned();
    let answer = site.client().get_forecast(v1::GetForecastRequest { name }).await.unwrap().into_inner();
    answer.forecast.unwrap().run.unwrap().state() == v1::RunState::Complete
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forecast_begins_when_its_analysis_is_there() {
    let site = site("cron = \"* * * * *\"\nlead_time = \"12h\"\nlate_after = \"30s\"\nwait = \"4m\"\nsettle = \"1s\"");
    let server = site.start("serve");
    let minute = Utc::now().duration_trunc(TimeDelta::minutes(1)).unwrap() - TimeDelta::minutes(1);
    site::until("it is told to be late", 10, async || of(&site, minute)["state"] == "late").await;
    let waits = of(&site, minute);
    assert!(waits["detail"].as_str().unwrap().contains(&ReferenceTime::new(minute).compact()), "{waits}");
    assert_eq!(waits["forecast"], Value::Null);
    // what has another name is no analysis
    std::fs::write(site.path("analyses/readme.nc"), "nothing").unwrap();
    analysis(&site, minute, 0);
    site::until("its forecast was asked for", 15, async || of(&site, minute)["state"] == "requested").await;
    let first = of(&site, minute);
    site::until("its forecast is there", 30, async || is_complete(&site, &first["forecast"]).await).await;
    assert!(first["delay_seconds"].as_i64().unwrap() >= 60, "{first}");
    let metrics = reqwest::get(format!("{}/metrics", site.url())).await.unwrap().text().await.unwrap();
    let line = format!("vejr_awaited_analyses{{schedule=\"{MODEL}\",state=\"requested\"}} 1");
    assert!(metrics.contains(&line), "{metrics}");
    assert!(metrics.contains(&format!("vejr_arrival_seconds{{schedule=\"{MODEL}\"}}")), "{metrics}");
    // a server that comes back asks for nothing twice, and forgets nothing
    drop(server);
    let _server = site.start("serve");
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let again = of(&site, minute);
    assert_eq!((&again["forecast"], &again["replaced"]), (&first["forecast"], &Value::from(0)));
    // another analysis of the same time is another forecast
    analysis(&site, minute, 3);
    site::until("it was replaced", 30, async || of(&site, minute)["replaced"] == 1).await;
    let second = of(&site, minute);
    assert_ne!(second["forecast"], first["forecast"]);
    site::until("the other forecast is there", 30, async || is_complete(&site, &second["forecast"]).await).await;
    assert!(is_complete(&site, &first["forecast"]).await);
    // for people
    let output = site.vejr(&["schedule"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("replaced 1 times") && text.contains("there is no"), "{text}");
    // an analysis that never comes is missing, not forgotten
    let gone = minute - TimeDelta::minutes(2);
    site::until("one is missing", 150, async || of(&site, gone)["state"] == "missing").await;
}

/// Forecasts of old analyses go, with everything of them; the newest stays.
#[tokio::test(flavor = "multi_thread")]
async fn forecasts_are_kept_as_long_as_was_said() {
    let site = Site::new(None, "devices = [\"cpu\"]");
    let names = {
        let _server = site.start("serve");
        let mut names = Vec::new();
        for time in TIMES {
            let asked = site.client().request_forecast(site::request(time, 2)).await.unwrap().into_inner();
            names.push(asked.forecast.unwrap().name);
        }
        for name in &names {
            let name = Value::from(name.as_str());
            site::until("complete", 60, async || is_complete(&site, &name).await).await;
        }
        names
    };
    let folder = |name: &str| site.path("forecasts").join(name.strip_prefix("forecasts/").unwrap());
    assert!(names.iter().all(|name| folder(name).is_dir()));
    // as if a schedule had asked for them
    sqlx::any::install_default_drivers();
    let ledger = sqlx::AnyPool::connect(&format!("sqlite://{}", site.path("ledger.sqlite").display())).await.unwrap();
    sqlx::query("UPDATE runs SET client = 'schedule/daily'").execute(&ledger).await.unwrap();
    ledger.close().await;
    let config = std::fs::read_to_string(site.path("vejr.toml")).unwrap();
    let sample = format!("{}/data-samples/held-suarez-init.nc", root().display());
    let named = config.replace(&sample, &format!("{sample}-{{reference_time}}"));
    let schedule = "[[schedule]]\nname = \"daily\"\ncron = \"0 0 * * *\"\nlead_time = \"12h\"\nretention = \"30d\"\n";
    std::fs::write(site.path("vejr.toml"), format!("{named}\n{schedule}model = \"{MODEL}\"\n")).unwrap();
    let state = async |name: &str| {
        let request = v1::GetForecastRequest { name: name.to_owned() };
        site.client().get_forecast(request).await.unwrap().into_inner().forecast.unwrap().run.unwrap()
    };
    {
        let _server = site.start("serve");
        for name in &names[..2] {
            site::until("it is deleted", 20, async || state(name).await.state() == v1::RunState::Expired).await;
            assert!(state(name).await.failure_reason.contains("720h"), "{:?}", state(name).await);
            assert!(!folder(name).exists() && !Path::new(&folder(name)).parent().unwrap().exists());
        }
        assert_eq!(state(&names[2]).await.state(), v1::RunState::Complete);
        assert!(folder(&names[2]).is_dir());
        let latest = state(&format!("forecasts/{MODEL}/latest")).await;
        assert_eq!(latest.forecast, names[2]);
    }
    // asked for again by somebody, it is made again, and nobody deletes it
    std::fs::write(site.path("vejr.toml"), config).unwrap();
    let _server = site.start("serve");
    site.client().request_forecast(site::request(TIMES[0], 2)).await.unwrap();
    let name = Value::from(names[0].as_str());
    site::until("complete again", 60, async || is_complete(&site, &name).await).await;
    assert!(folder(&names[0]).is_dir());
}

/// What cannot be kept is said before the server listens, all of it.
#[test]
fn a_schedule_that_cannot_be_kept_is_refused_at_the_start() {
    let schedule = "cron = \"0 */6 * * *\"\nlead_time = \"11h\"\nlate_after = \"13h\"\n[[schedule]]\nname = \"other\"\n\
                    model = \"absent\"\ncron = \"0 0 * * *\"\nlead_time = \"1d\"";
    let site = site(schedule);
    assert!(site.try_start("serve").is_none());
    let log = site.log("serve");
    for part in ["lead_time 11h", "late_after is 13h", "no model \"absent\""] {
        assert!(log.contains(part), "{part}: {log}");
    }
}
