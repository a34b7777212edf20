//! Who this agent is.

use health_heartbeat::Identity;

use crate::config::Environment;

/// The slot is what is configured, else the environment's `POD_UID`, else the host's name; the
/// incarnation is new at each start.
pub(crate) fn identity(configured: &str, environment: &Environment) -> Identity {
    let pod = environment.get("POD_UID").map_or("", String::as_str);
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy();
    let slot = [configured, pod, &host]
        .into_iter()
        .find(|name| !name.is_empty());
    Identity {
        slot: slot.unwrap_or("unnamed").into(),
        incarnation: uuid::Uuid::new_v4().simple().to_string().as_str().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_comes_before_the_pod_and_the_host() {
        let pod = Environment::from([("POD_UID".to_owned(), "uid-1".to_owned())]);
        assert_eq!(identity("mine", &pod).slot.as_str(), "mine");
        assert_eq!(identity("", &pod).slot.as_str(), "uid-1");
        assert!(!identity("", &Environment::new()).slot.as_str().is_empty());
        assert_ne!(
            identity("", &pod).incarnation,
            identity("", &pod).incarnation
        );
    }
}
