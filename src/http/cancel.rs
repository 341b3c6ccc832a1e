//! The end of a run before its time: called once, heard by everything that waits.

use std::sync::Arc;

use tokio::sync::watch;

/// A way to end a run early. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Cancel(Arc<watch::Sender<Option<String>>>);

impl Default for Cancel {
    fn default() -> Self {
        Cancel(Arc::new(watch::Sender::new(None)))
    }
}

impl Cancel {
    /// Ends the run. The first reason stays.
    pub fn call(&self, reason: impl Into<String>) {
        self.0.send_if_modified(|known| {
            let first = known.is_none();
            if first {
                *known = Some(reason.into());
            }
            first
        });
    }

    /// Why the run is to end, if it is.
    pub fn reason(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Waits until the run is to end, and says why.
    pub async fn called(&self) -> String {
        let mut heard = self.0.subscribe();
        let reason = heard.wait_for(Option::is_some).await.ok();
        match reason.and_then(|reason| reason.clone()) {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_is_heard_by_all() {
        let halt = Cancel::default();
        let waiting = tokio::spawn({
            let halt = halt.clone();
            async move { halt.called().await }
        });
        halt.call("one");
        halt.call("two");
        assert_eq!(waiting.await.unwrap(), "one");
        assert_eq!(halt.called().await, "one");
        assert_eq!(halt.reason().as_deref(), Some("one"));
    }
}
