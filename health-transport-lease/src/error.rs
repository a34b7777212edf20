//! What an operator reads when a call fails: one line that names the object, and what would help.

use crate::call::ApiError;
use crate::call::ErrorKind;
use crate::http_form::Objects;
use crate::names;

/// What a failed call was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Lease,
    SyncTarget,
}

/// One line: the operation, the object, the server, what is wrong, what would help.
pub(crate) fn describe(
    subject: Subject,
    operation: &str,
    objects: &Objects,
    server: &str,
    error: &ApiError,
) -> String {
    let object = match subject {
        Subject::Lease => format!("Lease \"{}/{}\"", objects.namespace, objects.lease),
        Subject::SyncTarget => format!("SyncTarget {:?}", objects.target),
    };
    let problem = match subject {
        Subject::Lease => lease_problem(operation, objects, error),
        Subject::SyncTarget => target_problem(operation, objects, error),
    };
    format!("cannot {operation} {object} in {server}: {problem}")
}

fn lease_problem(operation: &str, objects: &Objects, error: &ApiError) -> String {
    let Objects {
        namespace, lease, ..
    } = objects;
    match error.kind {
        ErrorKind::NamespaceMissing => format!(
            "namespace {namespace:?} does not exist; create it or set heartbeat.lease.namespace"
        ),
        ErrorKind::Forbidden => format!(
            "forbidden: {} may not {operation} leases.coordination.k8s.io {lease:?} \
             in namespace {namespace:?}: grant get{} and update on it \
             (run: syncer-health manifests rbac)",
            user(&error.message),
            if operation == "create" {
                ", create"
            } else {
                ""
            },
        ),
        ErrorKind::ResourceMissing => format!(
            "the server has no leases.coordination.k8s.io/v1 there: {}; \
             check the server's URL and syncTarget.workspace",
            error.message
        ),
        ErrorKind::AlreadyExists
        | ErrorKind::Conflict
        | ErrorKind::Connection
        | ErrorKind::Expired
        | ErrorKind::Invalid
        | ErrorKind::NotFound
        | ErrorKind::Server
        | ErrorKind::Timeout
        | ErrorKind::TooLarge
        | ErrorKind::TooMany
        | ErrorKind::Unauthorized => common_problem(error),
    }
}

fn target_problem(operation: &str, objects: &Objects, error: &ApiError) -> String {
    let resource = format!("{}.{}", names::PLURAL, names::GROUP);
    match error.kind {
        ErrorKind::NotFound => {
            "it does not exist; create it or set syncTarget.name to one that does".to_owned()
        }
        ErrorKind::ResourceMissing => format!(
            "the server has no {resource}/{} there; install the CRD \
             (run: syncer-health manifests crd), check syncTarget.workspace, \
             or set syncTargetStatus.enabled to false",
            names::VERSION
        ),
        ErrorKind::Forbidden => format!(
            "forbidden: {} may not {operation} {resource} {:?}: grant get on {} and update on \
             {}/status for it (run: syncer-health manifests rbac)",
            user(&error.message),
            objects.target,
            names::PLURAL,
            names::PLURAL,
        ),
        ErrorKind::AlreadyExists
        | ErrorKind::Conflict
        | ErrorKind::Connection
        | ErrorKind::Expired
        | ErrorKind::Invalid
        | ErrorKind::NamespaceMissing
        | ErrorKind::Server
        | ErrorKind::Timeout
        | ErrorKind::TooLarge
        | ErrorKind::TooMany
        | ErrorKind::Unauthorized => common_problem(error),
    }
}

fn common_problem(error: &ApiError) -> String {
    let message = &error.message;
    match error.kind {
        ErrorKind::Unauthorized => format!(
            "the server does not accept the credentials of the kubeconfig: {message}; \
             renew them, or check cluster.context"
        ),
        ErrorKind::TooMany => format!("the server is busy: {message}"),
        ErrorKind::AlreadyExists
        | ErrorKind::Conflict
        | ErrorKind::Connection
        | ErrorKind::Expired
        | ErrorKind::Forbidden
        | ErrorKind::Invalid
        | ErrorKind::NamespaceMissing
        | ErrorKind::NotFound
        | ErrorKind::ResourceMissing
        | ErrorKind::Server
        | ErrorKind::Timeout
        | ErrorKind::TooLarge => message.clone(),
    }
}

/// The user as the server names it: `… is forbidden: User "x" cannot …`.
fn user(message: &str) -> String {
    let named = || {
        let (_, rest) = message.split_once("User \"")?;
        let (user, _) = rest.split_once('"')?;
        Some(format!("user {user:?}"))
    };
    named().unwrap_or_else(|| "this user".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_reads_what_is_wrong_and_what_would_be_right() {
        let forbidden = "leases.coordination.k8s.io \"edge-1-heartbeat\" is forbidden: \
             User \"x\" cannot update resource \"leases\" in API group (HTTP 403)";
        for (subject, operation, kind, message, expected) in [
            (
                Subject::Lease,
                "create",
                ErrorKind::NamespaceMissing,
                "",
                "cannot create Lease \"default/edge-1-heartbeat\" in https://h/clusters/a: \
                 namespace \"default\" does not exist; create it or set heartbeat.lease.namespace",
            ),
            (
                Subject::Lease,
                "update",
                ErrorKind::Forbidden,
                forbidden,
                "cannot update Lease \"default/edge-1-heartbeat\" in https://h/clusters/a: \
                 forbidden: user \"x\" may not update leases.coordination.k8s.io \
                 \"edge-1-heartbeat\" in namespace \"default\": grant get and update on it \
                 (run: syncer-health manifests rbac)",
            ),
            (
                Subject::SyncTarget,
                "get",
                ErrorKind::NotFound,
                "",
                "cannot get SyncTarget \"edge-1\" in https://h/clusters/a: it does not exist; \
                 create it or set syncTarget.name to one that does",
            ),
        ] {
            let error = ApiError::new(kind, message);
            let line = describe(
                subject,
                operation,
                &objects(),
                "https://h/clusters/a",
                &error,
            );
            assert_eq!(line, expected);
        }
    }

    fn objects() -> Objects {
        Objects {
            namespace: "default".to_owned(),
            lease: "edge-1-heartbeat".to_owned(),
            target: "edge-1".to_owned(),
        }
    }
}
