//! What an operator reads when a call fails: one line that names the object, and what would help.

use crate::call::ApiError;
use crate::call::ErrorKind;
use crate::http_form::Objects;
use crate::names;

/// What a failed call was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// An agent's Lease.
    Lease,
    /// The Lease of the hubs.
    LeaderLease,
    /// An agent's SyncTarget.
    SyncTarget,
    /// A SyncTarget that a hub writes a verdict on.
    Verdict,
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
        Subject::Lease | Subject::LeaderLease => {
            format!("Lease \"{}/{}\"", objects.namespace, objects.lease)
        }
        Subject::SyncTarget | Subject::Verdict => format!("SyncTarget {:?}", objects.target),
    };
    let problem = match subject {
        Subject::Lease | Subject::LeaderLease => lease_problem(subject, operation, objects, error),
        Subject::SyncTarget | Subject::Verdict => {
            target_problem(subject, operation, objects, error)
        }
    };
    format!("cannot {operation} {object} in {server}: {problem}")
}

/// Why one of the calls is not answered that a hub makes to find out whose a token is; `resource`
/// is what it creates.
pub(crate) fn describe_review(resource: &str, server: &str, error: &ApiError) -> String {
    let problem = if error.kind == ErrorKind::Forbidden {
        format!(
            "forbidden: {} may not create {resource}: grant create on it \
             (run: syncer-health manifests hub)",
            user(&error.message)
        )
    } else {
        common_problem(error)
    };
    format!("cannot create a review in {server}: {problem}")
}

fn lease_problem(subject: Subject, operation: &str, objects: &Objects, error: &ApiError) -> String {
    let Objects {
        namespace, lease, ..
    } = objects;
    let (key, workspace, manifest) = if subject == Subject::LeaderLease {
        ("cluster.namespace", "cluster.context", "hub")
    } else {
        ("heartbeat.lease.namespace", "syncTarget.workspace", "rbac")
    };
    match error.kind {
        ErrorKind::NamespaceMissing => {
            format!("namespace {namespace:?} does not exist; create it or set {key}")
        }
        ErrorKind::Forbidden => format!(
            "forbidden: {} may not {operation} leases.coordination.k8s.io {lease:?} \
             in namespace {namespace:?}: grant get{} and update on it \
             (run: syncer-health manifests {manifest})",
            user(&error.message),
            if operation == "create" {
                ", create"
            } else {
                ""
            },
        ),
        ErrorKind::ResourceMissing => format!(
            "the server has no leases.coordination.k8s.io/v1 there: {}; \
             check the server's URL and {workspace}",
            error.message
        ),
        // A Lease that is not there is made: it is the place for it that is missing.
        ErrorKind::NotFound => format!("{}; check {workspace}", error.message),
        ErrorKind::AlreadyExists
        | ErrorKind::Conflict
        | ErrorKind::Connection
        | ErrorKind::Expired
        | ErrorKind::Invalid
        | ErrorKind::Server
        | ErrorKind::Timeout
        | ErrorKind::TooLarge
        | ErrorKind::TooMany
        | ErrorKind::Unauthorized => common_problem(error),
    }
}

fn target_problem(
    subject: Subject,
    operation: &str,
    objects: &Objects,
    error: &ApiError,
) -> String {
    let resource = format!("{}.{}", names::PLURAL, names::GROUP);
    let (remedy, off, manifest) = if subject == Subject::Verdict {
        (
            "create it, or take its agent's credentials away",
            "check cluster.workspaces, or set cluster.writeConditions to false",
            "hub",
        )
    } else {
        (
            "create it or set syncTarget.name to one that does",
            "check syncTarget.workspace, or set syncTargetStatus.enabled to false",
            "rbac",
        )
    };
    match error.kind {
        ErrorKind::NotFound => format!("it does not exist; {remedy}"),
        ErrorKind::ResourceMissing => format!(
            "the server has no {resource}/{} there; install the CRD \
             (run: syncer-health manifests crd), {off}",
            names::VERSION
        ),
        ErrorKind::Forbidden => format!(
            "forbidden: {} may not {operation} {resource} {:?}: grant get on {} and update on \
             {}/status for it (run: syncer-health manifests {manifest})",
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
                Subject::Lease,
                "create",
                ErrorKind::NotFound,
                "workspaces.tenancy.kcp.io \"a\" not found (HTTP 404)",
                "cannot create Lease \"default/edge-1-heartbeat\" in https://h/clusters/a: \
                 workspaces.tenancy.kcp.io \"a\" not found (HTTP 404); check syncTarget.workspace",
            ),
            (
                Subject::SyncTarget,
                "get",
                ErrorKind::NotFound,
                "",
                "cannot get SyncTarget \"edge-1\" in https://h/clusters/a: it does not exist; \
                 create it or set syncTarget.name to one that does",
            ),
            (
                Subject::Verdict,
                "update the status of",
                ErrorKind::Forbidden,
                "User \"hub\" cannot",
                "cannot update the status of SyncTarget \"edge-1\" in https://h/clusters/a: \
                 forbidden: user \"hub\" may not update the status of synctargets.workload.kcp.io \
                 \"edge-1\": grant get on synctargets and update on synctargets/status for it \
                 (run: syncer-health manifests hub)",
            ),
            (
                Subject::Verdict,
                "get",
                ErrorKind::ResourceMissing,
                "",
                "cannot get SyncTarget \"edge-1\" in https://h/clusters/a: the server has no \
                 synctargets.workload.kcp.io/v1alpha1 there; install the CRD \
                 (run: syncer-health manifests crd), check cluster.workspaces, \
                 or set cluster.writeConditions to false",
            ),
            (
                Subject::LeaderLease,
                "create",
                ErrorKind::NamespaceMissing,
                "",
                "cannot create Lease \"default/edge-1-heartbeat\" in https://h/clusters/a: \
                 namespace \"default\" does not exist; create it or set cluster.namespace",
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
