use super::*;

const FILE: &str = "\"root:org:edge/edge-1\": s3cr3t\n\"-/edge-2\": other\n";

#[tokio::test]
async fn a_token_belongs_to_one_target_and_the_request_must_not_say_otherwise() {
    let auth = with_tokens(FILE, false);
    for (bearer, workspace, name, admitted) in [
        (
            "s3cr3t",
            "root:org:edge",
            "edge-1",
            Ok("root:org:edge/edge-1"),
        ),
        ("s3cr3t", "", "edge-1", Ok("root:org:edge/edge-1")),
        ("s3cr3t", "", "", Ok("root:org:edge/edge-1")),
        ("s3cr3t", "root:org:edge", "edge-2", Err("\"edge-2\"")),
        ("s3cr3t", "root:other", "edge-1", Err("\"root:other\"")),
        ("other", "", "edge-2", Ok("-/edge-2")),
        ("other", "root:org", "edge-2", Err("\"root:org\"")),
        ("wrong", "", "edge-1", Err(UNKNOWN_TOKEN)),
        ("", "", "edge-1", Err(NOTHING_SHOWN)),
    ] {
        check(&auth, None, bearer, (workspace, name), admitted).await;
    }
}

#[tokio::test]
async fn a_certificate_names_the_target_and_nothing_else_shown_may_name_another() {
    let edge_1 = Certified::Target(id("root:org:edge", "edge-1"));
    let other = Certified::Other("somebody".to_owned());
    let with = with_tokens(FILE, false);
    let without = Auth {
        tokens: None,
        told: Mutex::default(),
        reviewer: None,
        anonymous: false,
    };
    for (auth, certified, bearer, name, admitted) in [
        (&without, &edge_1, "", "", Ok("root:org:edge/edge-1")),
        (&without, &edge_1, "", "edge-1", Ok("root:org:edge/edge-1")),
        (&without, &edge_1, "", "edge-2", Err("client certificate")),
        (
            &without,
            &edge_1,
            "whatever",
            "",
            Ok("root:org:edge/edge-1"),
        ),
        (&without, &other, "", "", Err("\"somebody\"")),
        (&with, &edge_1, "", "", Ok("root:org:edge/edge-1")),
        (&with, &edge_1, "s3cr3t", "", Ok("root:org:edge/edge-1")),
        (&with, &edge_1, "other", "", Err("belongs to -/edge-2")),
        (&with, &edge_1, "wrong", "", Err(UNKNOWN_TOKEN)),
        (&with, &other, "s3cr3t", "", Err("\"somebody\"")),
    ] {
        check(auth, Some(certified), bearer, ("", name), admitted).await;
    }
    check(&without, None, "", ("", "edge-1"), Err(NOTHING_SHOWN)).await;
}

#[tokio::test]
async fn anybody_comes_in_only_where_that_is_said_and_never_as_one_who_has_a_token() {
    let anonymous = Auth {
        tokens: None,
        told: Mutex::default(),
        reviewer: None,
        anonymous: true,
    };
    check(&anonymous, None, "", ("root:org", "a"), Ok("root:org/a")).await;
    check(&anonymous, None, "x", ("", ""), Ok("-/")).await;
    let mixed = with_tokens(FILE, true);
    check(&mixed, None, "", ("root:org", "a"), Ok("root:org/a")).await;
    check(&mixed, None, "", ("", "edge-2"), Err(NOTHING_SHOWN)).await;
    check(&mixed, None, "wrong", ("", "a"), Err(UNKNOWN_TOKEN)).await;
    assert!(!mixed.may_be_named(&id("", "edge-2")));
    assert!(mixed.may_be_named(&id("", "edge-3")));
}

#[tokio::test]
async fn a_reviewer_is_asked_about_the_target_that_the_request_names() {
    let mut auth = with_tokens(FILE, false);
    auth.reviewer = Some(Reviewer::new(|token, id| {
        use secrecy::ExposeSecret;
        let review = match token.expose_secret() {
            "edge" if id.name == "edge-7" => Review::Allowed {
                user: "system:edge".to_owned(),
            },
            "edge" => Review::Forbidden {
                why: format!("system:edge may not update synctargets/status of {id}"),
            },
            "down" => Review::Unavailable {
                why: "connection refused".to_owned(),
            },
            _ => Review::Unauthenticated,
        };
        Box::pin(std::future::ready(review))
    }));
    for (bearer, name, admitted) in [
        ("edge", "edge-7", Ok("root/edge-7")),
        ("edge", "edge-8", Err("may not update")),
        ("edge", "", Err("names no sync target")),
        ("wrong", "edge-7", Err(UNKNOWN_TOKEN)),
        ("down", "edge-7", Err("unavailable")),
    ] {
        check(&auth, None, bearer, ("root", name), admitted).await;
    }
    check(&auth, None, "other", ("", ""), Ok("-/edge-2")).await;
    let certified = Certified::Target(id("root", "edge-8"));
    check(
        &auth,
        Some(&certified),
        "edge",
        ("", ""),
        Err("may not update"),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reviewer_that_hangs_holds_nobody_for_long_and_not_many() {
    let mut auth = with_tokens(FILE, false);
    auth.reviewer = Some(Reviewer::new(|_, _| Box::pin(std::future::pending())));
    let auth = Arc::new(auth);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..REVIEWS_MAX {
        let auth = Arc::clone(&auth);
        asking.spawn(async move {
            check(&auth, None, "x", ("", "a"), Err("unavailable")).await;
        });
    }
    // The runtime takes a turn of its own after some tasks.
    for _ in 0..REVIEWS_MAX {
        tokio::task::yield_now().await;
    }
    let began = tokio::time::Instant::now();
    check(&auth, None, "x", ("", "a"), Err("unavailable")).await;
    assert_eq!(began.elapsed(), Duration::ZERO, "it was not even asked");
    asking.join_all().await;
    assert_eq!(began.elapsed(), REVIEW_TIMEOUT);
}

#[tokio::test]
async fn a_token_file_that_changed_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.yaml");
    std::fs::write(&path, FILE).unwrap();
    let mut config = HubConfig::default();
    config.auth.token_file = path.to_str().unwrap().to_owned();
    let start = Instant::now();
    let auth = Auth::read(&config, None, start).unwrap();
    assert_eq!(told(&auth).map(|changes| changes.added.len()), Some(2));
    assert_eq!(told(&auth), None, "nothing is new");
    std::fs::write(&path, "\"-/edge-2\": other\n\"-/edge-3\": new\n").unwrap();
    let bearer = SecretString::from("new");
    let claim = Claim {
        certified: None,
        bearer: Some(&bearer),
        workspace: "",
        name: None,
    };
    let later = start + Duration::from_secs(2);
    let admitted = auth.admit(claim, later).await.unwrap();
    assert_eq!(admitted.id, id("", "edge-3"));
    let mark = admitted.mark.unwrap();
    assert!(auth.holds(mark));
    let changes = TargetChanges {
        added: vec![id("", "edge-3")],
        removed: vec![id("root:org:edge", "edge-1")],
    };
    assert_eq!(told(&auth), Some(changes));
    std::fs::write(&path, "rubbish").unwrap();
    let later = later + Duration::from_secs(2);
    assert_eq!(auth.admit(claim, later).await.unwrap().id, id("", "edge-3"));
    std::fs::write(&path, "\"-/edge-3\": newer\n").unwrap();
    auth.look_again(later).await;
    assert!(!auth.holds(mark), "it has another token now");
    assert_eq!(
        told(&auth),
        Some(TargetChanges {
            added: vec![],
            removed: vec![id("", "edge-2")]
        })
    );
}

#[test]
fn a_review_that_nobody_makes_is_not_pretended() {
    let mut config = HubConfig::default();
    config.auth.token_review = true;
    let error = Auth::read(&config, None, Instant::now()).unwrap_err();
    assert_eq!(error.0[0].key, "auth.tokenReview");
}

async fn check(
    auth: &Auth,
    certified: Option<&Certified>,
    bearer: &str,
    (workspace, name): (&str, &str),
    expected: Result<&str, &str>,
) {
    let bearer = (!bearer.is_empty()).then(|| SecretString::from(bearer));
    let claim = Claim {
        certified,
        bearer: bearer.as_ref(),
        workspace,
        name: Some(name).filter(|name| !name.is_empty()),
    };
    let found = auth.admit(claim, Instant::now()).await;
    let found = found
        .map(|admitted| admitted.id.to_string())
        .map_err(|denied| match denied {
            Denied::Unauthorized(why) => why.to_owned(),
            Denied::Forbidden(why) => why,
            Denied::Unavailable => "unavailable".to_owned(),
        });
    match expected {
        Ok(id) => assert_eq!(found.as_deref(), Ok(id), "{claim:?}"),
        Err(says) => {
            let why = found.expect_err(says);
            assert!(why.contains(says), "{claim:?}: {why}");
        }
    }
}

fn told(auth: &Auth) -> Option<TargetChanges> {
    let mut told = None;
    auth.follow(|_, changes| told = Some(changes.clone()));
    told
}

fn with_tokens(file: &'static str, anonymous: bool) -> Auth {
    // The file is not looked at again within this test.
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), file).unwrap();
    let files = vec![(TOKEN_FILE, path.path().to_owned())];
    let parse = |contents: &[Vec<u8>]| parse(contents, &RandomState::new());
    Auth {
        tokens: Some(Reloaded::read(TOKEN_FILE, files, parse, Instant::now()).unwrap()),
        told: Mutex::default(),
        reviewer: None,
        anonymous,
    }
}

fn id(workspace: &str, name: &str) -> AgentId {
    AgentId {
        workspace: workspace.to_owned(),
        name: name.to_owned(),
    }
}
