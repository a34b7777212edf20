use tempfile::TempDir;

use super::*;

#[test]
fn the_current_context_names_the_server_and_the_user() {
    let text = "
apiVersion: v1
kind: Config
preferences: {}
current-context: two
clusters:
- { name: a, cluster: { server: 'https://a:6443', extensions: [{ name: x }] } }
- { name: b, cluster: { server: 'https://b:6443/clusters/root', tls-server-name: kube } }
contexts:
- { name: one, context: { cluster: a, user: alice, namespace: x } }
- { name: two, context: { cluster: b, user: bob } }
- { name: open, context: { cluster: a, user: '' } }
users:
- { name: alice, user: { token: hunter2 } }
- { name: bob, user: {} }
";
    for (context, server, name, token) in [
        ("", "https://b:6443/clusters/root", Some("kube"), "None"),
        ("two", "https://b:6443/clusters/root", Some("kube"), "None"),
        ("one", "https://a:6443/", None, "Some(Material(data))"),
        ("open", "https://a:6443/", None, "None"),
    ] {
        let target = target(text, context).unwrap();
        assert_eq!(target.shown(), server, "{context}");
        assert_eq!(target.server_name.as_deref(), name, "{context}");
        assert_eq!(format!("{:?}", target.bearer_token), token, "{context}");
        assert!(!target.insecure);
    }
}

#[test]
fn every_form_of_a_credential_is_understood() {
    let inline = "Some(Material(data))";
    let pair = |certificate: &str, key: &str| {
        format!(
            "Some(ClientCertificate {{ certificate: Material({certificate}), key: Material({key}) }})"
        )
    };
    let none = || "None".to_owned();
    for (user, token, client) in [
        ("{}", none(), none()),
        ("null", none(), none()),
        ("{ token: '', client-certificate: '' }", none(), none()),
        ("{ token: abc }", inline.to_owned(), none()),
        ("{ token: 123 }", inline.to_owned(), none()),
        ("{ token: yes }", inline.to_owned(), none()),
        (
            "{ tokenFile: tok }",
            "Some(Material(file \"FOLDER/tok\"))".to_owned(),
            none(),
        ),
        (
            "{ tokenFile: 0755 }",
            "Some(Material(file \"FOLDER/0755\"))".to_owned(),
            none(),
        ),
        (
            "{client-certificate: &a 1.10,client-key: *a}",
            none(),
            pair("file \"FOLDER/1.10\"", "file \"FOLDER/1.10\""),
        ),
        (
            "{ client-certificate: !!float 1e3, client-key: -0 }",
            none(),
            pair("file \"FOLDER/1e3\"", "file \"FOLDER/-0\""),
        ),
        (
            "{ tokenFile: /tok, token: abc }",
            "Some(Material(file \"/tok\"))".to_owned(),
            none(),
        ),
        (
            "{ client-certificate: c.crt, client-key: /k.key }",
            none(),
            pair("file \"FOLDER/c.crt\"", "file \"/k.key\""),
        ),
        (
            "{ client-certificate-data: YWJj, client-key-data: YWJj, client-key: k }",
            none(),
            pair("data", "data"),
        ),
        (
            "{ client-certificate-data: \"YW\\nJj\\n\", client-key: /k.key, token: abc }",
            inline.to_owned(),
            pair("data", "file \"/k.key\""),
        ),
    ] {
        let folder = TempDir::new().unwrap();
        let made = in_folder(&folder, &with("server: 'https://a'", user), "").unwrap();
        let shown = |text: String| text.replace(folder.path().to_str().unwrap(), "FOLDER");
        assert_eq!(shown(format!("{:?}", made.bearer_token)), token, "{user}");
        assert_eq!(
            shown(format!("{:?}", made.client_certificate)),
            client,
            "{user}"
        );
    }
}

#[test]
fn every_form_of_trust_is_understood() {
    for (cluster, ca, insecure) in [
        ("{ server: 'https://a' }", "None", false),
        (
            "{ server: 'https://a', certificate-authority: /ca.crt }",
            "Some(Material(file \"/ca.crt\"))",
            false,
        ),
        (
            "{ server: 'https://a', certificate-authority: x, certificate-authority-data: YWJj }",
            "Some(Material(data))",
            false,
        ),
        (
            "{ server: 'https://a', insecure-skip-tls-verify: true }",
            "None",
            true,
        ),
    ] {
        let text = with(&cluster[2..cluster.len() - 2], "{}");
        let target = target(&text, "").unwrap();
        assert_eq!(format!("{:?}", target.ca), ca, "{cluster}");
        assert_eq!(target.insecure, insecure, "{cluster}");
    }
}

#[test]
fn of_several_files_the_first_one_counts() {
    let folder = TempDir::new().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let first = "
clusters: [{ name: a, cluster: { server: 'https://first' } }]
users:
";
    std::fs::write(&one, first).unwrap();
    std::fs::write(&two, with("server: 'https://second'", "{ tokenFile: tok }")).unwrap();
    let kubeconfig = Kubeconfig::read(&[one, two]).unwrap();
    let chosen = kubeconfig.context("").unwrap();
    let mut target = chosen.target().unwrap();
    chosen.identify(&mut target).unwrap();
    assert_eq!(target.shown(), "https://first/");
    assert!(target.bearer_token.is_some());
}

#[test]
fn what_cannot_be_used_is_told_on_one_line_without_secrets() {
    let user = |user: &str| with("server: 'https://a'", user);
    let instead = "which is not supported; give tokenFile, or use a service account";
    for (text, context, expected) in [
        (
            String::new(),
            "",
            "has no current-context; set context to one that it has: it has none",
        ),
        (
            "contexts: [{ name: x }, { name: y }]".to_owned(),
            "",
            "has no current-context; set context to one that it has: it has x, y",
        ),
        (user("{}"), "z", "has no context \"z\"; it has x"),
        (
            "current-context: x\ncontexts: [{ name: x, context: { cluster: c } }]".to_owned(),
            "",
            "has no cluster \"c\", which its context \"x\" names",
        ),
        (
            "current-context: x\ncontexts: [{ name: x, context: {} }]".to_owned(),
            "",
            "its context \"x\" names no cluster",
        ),
        (
            user("{}").replace("name: u", "name: v"),
            "",
            "has no user \"u\", which its context",
        ),
        (
            with("server: ''", "{}"),
            "",
            "its cluster \"a\" has no server",
        ),
        (
            with("server: 'hunter2'", "{}"),
            "",
            "its cluster \"a\" has a wrong server: the URL must begin with",
        ),
        (
            with("server: 'https://bob:hunter2@a'", "{}"),
            "",
            "has a wrong server: the URL must not name a user",
        ),
        (
            with("server: 'https://a', proxy-url: 'http://hunter2'", "{}"),
            "",
            "its cluster \"a\" has a proxy-url, but checks connect directly",
        ),
        (
            with(
                "server: 'https://a', certificate-authority-data: 'hunter2!'",
                "{}",
            ),
            "",
            "its cluster \"a\": certificate-authority-data: it is not the base64 of a text",
        ),
        (
            user("{ client-certificate-data: hunter2, client-key: x }"),
            "",
            "its user \"u\": client-certificate-data: it is not the base64 of a text",
        ),
        (
            user("{ client-certificate: x, client-key-data: '/w==' }"),
            "",
            "its user \"u\": client-key-data: it is not the base64 of a text",
        ),
        (
            user("{ client-certificate: x }"),
            "",
            "has a client-certificate but no client-key",
        ),
        (
            user("{ client-key: x }"),
            "",
            "has a client-key but no client-certificate",
        ),
        (
            user("{ exec: { command: hunter2 } }"),
            "",
            &format!("a program (exec), {instead}"),
        ),
        (
            user("{ auth-provider: { name: x } }"),
            "",
            &format!("an auth-provider, {instead}"),
        ),
        (
            user("{ username: x, password: hunter2 }"),
            "",
            &format!("a password, {instead}"),
        ),
        (
            user("{ as: x, token: hunter2 }"),
            "",
            &format!("acts as another (as), {instead}"),
        ),
        (
            user("hunter2"),
            "",
            "line 5, column 26: there must be keys and values here",
        ),
        (
            user("{ token: [hunter2] }"),
            "",
            "line 5, column 35: token must be a text, in quotes",
        ),
        (
            "hunter2".to_owned(),
            "",
            "there must be keys and values here",
        ),
        (
            user("{ token: !!int \"5\" }"),
            "",
            "token must be a text, in quotes",
        ),
        ("a: b: hunter2".to_owned(), "", "line 1, column"),
        ("a: \"hunter2".to_owned(), "", "this is not YAML"),
    ] {
        let error = target(&text, context).map(|_| ()).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(expected), "{error}\n{text}");
        assert!(error.contains("the kubeconfig \""), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    let error = Kubeconfig::read(&["/nowhere".into()])
        .map(|_| ())
        .unwrap_err();
    let expected = "cannot read the kubeconfig \"/nowhere\": No such file";
    assert!(format!("{error:#}").starts_with(expected), "{error:#}");
}

fn target(text: &str, context: &str) -> anyhow::Result<HttpTarget> {
    in_folder(&TempDir::new().unwrap(), text, context)
}

fn in_folder(folder: &TempDir, text: &str, context: &str) -> anyhow::Result<HttpTarget> {
    let path = folder.path().join("config");
    std::fs::write(&path, text).unwrap();
    let kubeconfig = Kubeconfig::read(&[path])?;
    let chosen = kubeconfig.context(context)?;
    let mut target = chosen.target()?;
    chosen.identify(&mut target)?;
    Ok(target)
}

fn with(cluster: &str, user: &str) -> String {
    format!(
        "
current-context: x
clusters: [{{ name: a, cluster: {{ {cluster} }} }}]
contexts: [{{ name: x, context: {{ cluster: a, user: u }} }}]
users: [{{ name: u, user: {user} }}]
"
    )
}
