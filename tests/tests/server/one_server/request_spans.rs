//! A request's span is in the caller's trace.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Instrument, Subscriber, info_span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::common::client;

/// The fields of a span, and `parent` and `closed`.
type Fields = BTreeMap<String, String>;

/// The spans of requests.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<BTreeMap<u64, Fields>>>);

struct Into<'a>(&'a mut Fields);

impl Visit for Into<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}").trim_matches('"').to_owned();
        self.0.insert(field.name().to_owned(), text);
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() != "zk.request" {
            return;
        }
        let mut fields = Fields::new();
        attributes.record(&mut Into(&mut fields));
        let parent = context.span(id).and_then(|span| span.parent());
        if let Some(parent) = parent {
            fields.insert("parent".to_owned(), parent.name().to_owned());
        }
        self.0.lock().unwrap().insert(id.into_u64(), fields);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, _: Context<'_, S>) {
        if let Some(fields) = self.0.lock().unwrap().get_mut(&id.into_u64()) {
            record.record(&mut Into(fields));
        }
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        if let Some(fields) = self.0.lock().unwrap().get_mut(&id.into_u64()) {
            fields.insert("closed".to_owned(), "true".to_owned());
        }
    }
}

impl Spans {
    /// The subscriber of this thread, at this level.
    fn subscribe(level: tracing::Level) -> (Self, DefaultGuard) {
        let spans = Spans::default();
        let levels = tracing_subscriber::filter::LevelFilter::from_level(level);
        let subscriber = tracing_subscriber::registry().with(spans.clone().with_filter(levels));
        let guard = tracing::subscriber::set_default(subscriber);
        (spans, guard)
    }

    /// The one span of a request at this path.
    fn at(&self, path: &str) -> Fields {
        let spans = self.0.lock().unwrap();
        let mut found = spans.values().filter(|span| span["path"] == path);
        let span = found.next().unwrap().clone();
        assert!(found.next().is_none(), "{path}");
        span
    }
}

#[tokio::test]
async fn requests_are_in_the_trace_of_the_caller() {
    let zk = client().await;
    let (spans, _guard) = Spans::subscribe(tracing::Level::DEBUG);
    async {
        zk.create("/a", "").await.unwrap();
        zk.get("/none").await.unwrap_err();
        drop(zk.get("/dropped").submit());
    }
    .instrument(info_span!("handling an order"))
    .await;
    let created = spans.at("/a");
    assert_eq!(created["parent"], "handling an order");
    assert_eq!(
        (&*created["op"], &*created["otel.kind"]),
        ("create2", "client")
    );
    assert!(created.contains_key("zxid") && created.contains_key("closed"));
    assert!(!created.contains_key("otel.status_code"));
    let failed = spans.at("/none");
    assert_eq!(failed["otel.status_code"], "ERROR");
    assert_eq!(
        (&*failed["kind"], &*failed["outcome"]),
        ("NoNode", "Rejected")
    );
    assert_eq!(spans.at("/dropped")["outcome"], "dropped");
    assert!(spans.at("/dropped").contains_key("closed"));
}

#[tokio::test]
async fn without_debug_there_are_no_request_spans() {
    let zk = client().await;
    let (spans, _guard) = Spans::subscribe(tracing::Level::INFO);
    zk.create("/a", "").await.unwrap();
    assert!(spans.0.lock().unwrap().is_empty());
}
