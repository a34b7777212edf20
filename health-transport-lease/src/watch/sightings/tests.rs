use super::*;
use serde_json::json;

/// OCM and kcp: a hub that was away finds Leases that nobody renewed; it convicts nobody by them.
#[test]
fn pitfall_18_what_a_first_list_tells_is_seen_first() {
    let mut leases = leases();
    leases.take(News::ListBegan, now());
    leases.take(News::Listed(vec![lease("a", "edge-1", "x_1", 1)]), now());
    assert_eq!(told(&mut leases), ["edge-1 First"]);
    // A list that is read again from its beginning tells nothing twice.
    leases.take(News::ListBegan, now());
    leases.take(News::Listed(vec![lease("a", "edge-1", "x_1", 1)]), now());
    leases.take(News::ListEnded, now());
    assert_eq!(told(&mut leases), [""; 0]);
}

#[test]
fn a_lease_is_told_as_it_changes() {
    let mut leases = leases();
    let mut labelled = lease("a", "edge-1", "", 4);
    labelled["metadata"]["labels"]["theirs"] = "1".into();
    labelled["metadata"]["resourceVersion"] = "5".into();
    for (object, expected) in [
        (lease("a", "edge-1", "x_1", 1), "edge-1 First"),
        (lease("a", "edge-1", "x_1", 2), "edge-1 Renewed"),
        (lease("a", "edge-1", "x_1", 2), ""),
        (lease("a", "edge-1", "x_2", 3), "edge-1 Renewed"),
        (lease("a", "edge-1", "", 4), "edge-1 Released"),
        (labelled, "edge-1 Other"),
        (lease("a", "edge-1", "x_2", 6), "edge-1 Renewed"),
    ] {
        leases.take(News::Changed(object), now());
        assert_eq!(told(&mut leases).join(" "), expected);
    }
    leases.take(News::Deleted(lease("a", "edge-1", "x_2", 7)), now());
    assert_eq!(told(&mut leases), ["edge-1 gone (a)"]);
    leases.take(News::Deleted(lease("a", "edge-1", "x_2", 7)), now());
    assert_eq!(told(&mut leases), [""; 0]);
}

#[test]
fn a_target_has_its_leases_by_their_label_whatever_they_are_called() {
    let mut leases = leases();
    for object in [
        lease("edge-2-heartbeat", "edge-1", "x_1", 1),
        lease("b", "edge-1", "y_1", 2),
        json!({"metadata": {"name": "edge-1-heartbeat"}}),
        json!({"metadata": {"labels": {"syncer-health/sync-target": "edge-1"}}}),
    ] {
        leases.take(News::Changed(object), now());
    }
    assert_eq!(told(&mut leases), ["edge-1 First", "edge-1 First"]);
    leases.take(News::Changed(lease("b", "edge-2", "y_1", 3)), now());
    assert_eq!(told(&mut leases), ["edge-1 gone (b)", "edge-2 First"]);
    let bare = json!({"metadata": {"name": "b"}});
    leases.take(News::Changed(bare), now());
    assert_eq!(told(&mut leases), ["edge-2 gone (b)"]);
}

#[test]
fn what_vanished_between_two_lists_is_told_as_gone() {
    let mut leases = leases();
    leases.take(News::ListBegan, now());
    let page = ["a", "b", "c"].map(|name| lease(name, name, "x_1", 1));
    leases.take(News::Listed(page.to_vec()), now());
    leases.take(News::ListEnded, now());
    told(&mut leases);
    // A list that was not read to its end proves nothing about what was not in it.
    leases.take(News::ListBegan, now());
    leases.take(News::Listed(vec![lease("b", "b", "x_1", 1)]), now());
    leases.take(News::ListBegan, now());
    assert_eq!(told(&mut leases), [""; 0]);
    leases.take(News::Listed(vec![lease("c", "c", "x_1", 2)]), now());
    leases.take(News::ListEnded, now());
    assert_eq!(told(&mut leases), ["c Renewed", "a gone (a)", "b gone (b)"]);
}

/// OCM registration#280: a target that was deleted and made again is told as another one, also
/// where nobody saw it go.
#[test]
fn pitfall_16_a_recreated_target_is_gone_and_then_seen_first() {
    let mut targets = Sightings::new(Watched::SyncTargets);
    let target = |uid: &str, version: u64| {
        json!({"metadata": {"name": "edge-1", "uid": uid,
            "resourceVersion": version.to_string()},
            "status": {"lastHeartbeat": format!("1970-01-01T00:00:0{version}Z")}})
    };
    for (news, expected) in [
        (News::Changed(target("u1", 1)), "edge-1 First"),
        (News::Changed(target("u1", 2)), "edge-1 HeartbeatChanged"),
        (News::Changed(target("u2", 3)), "edge-1 gone edge-1 First"),
        (News::Deleted(target("u2", 4)), "edge-1 gone"),
        (News::Changed(target("u3", 5)), "edge-1 First"),
    ] {
        targets.take(news, now());
        assert_eq!(told(&mut targets).join(" "), expected);
    }
}

#[test]
fn what_is_kept_is_bounded_and_the_rest_is_told_once() {
    let mut leases = leases();
    leases.known_max = 2;
    leases.take(News::ListBegan, now());
    let page = ["a", "b", "c", "d"].map(|name| lease(name, name, "x_1", 1));
    leases.take(News::Listed(page.to_vec()), now());
    leases.take(News::ListEnded, now());
    assert_eq!(told(&mut leases), ["a First", "b First", "too many: 2"]);
    leases.take(News::Deleted(lease("a", "a", "x_1", 2)), now());
    leases.take(News::Changed(lease("c", "c", "x_1", 3)), now());
    assert_eq!(told(&mut leases), ["a gone (a)", "c First"]);
    assert_eq!(leases.len(), 2);
}

fn leases() -> Sightings {
    Sightings::new(Watched::Leases {
        namespace: "default".to_owned(),
    })
}

fn lease(name: &str, target: &str, holder: &str, version: u64) -> Value {
    json!({
        "metadata": {"name": name, "resourceVersion": version.to_string(),
            "labels": {"syncer-health/sync-target": target}},
        "spec": {"holderIdentity": holder,
            "renewTime": format!("1970-01-01T00:00:0{version}.000000Z")},
    })
}

fn told(sightings: &mut Sightings) -> Vec<String> {
    let said = |it: Sighting| match it.what {
        Seen::Lease { target, lease } => format!("{target} {:?}", lease.change),
        Seen::LeaseGone { target, name } => format!("{target} gone ({name})"),
        Seen::Target { target, sight } => format!("{target} {:?}", sight.change),
        Seen::TargetGone { target } => format!("{target} gone"),
        Seen::TooMany { kept } => format!("too many: {kept}"),
        other @ (Seen::Synced | Seen::Stalled { .. } | Seen::Broken { .. } | Seen::Recovered) => {
            format!("{other:?}")
        }
    };
    std::iter::from_fn(|| sightings.poll()).map(said).collect()
}

fn now() -> Instant {
    Instant::now()
}
