use super::*;

#[test]
fn every_key_and_item_has_its_place_and_what_is_not_there_that_of_the_nearest_above() {
    let text = "\
# a comment
a: 1
b:
  c: [x, { d: 'y' }]
  a.b: { 'e[0]': [z] }
alias: &it { f: 1 }
other: *it
";
    let (tree, problems) = parsed(text);
    assert_eq!(problems, []);
    for (path, line, column) in [
        ("", 1, 1),
        ("a", 2, 1),
        ("a.x.y", 2, 1),
        ("nothing", 1, 1),
        ("ab", 1, 1),
        ("b", 3, 1),
        ("b.c", 4, 3),
        ("b.c[0]", 4, 7),
        ("b.c[1]", 4, 10),
        ("b.c[1].d", 4, 12),
        ("b.c[2]", 4, 3),
        ("b.a.b", 5, 3),
        ("b.a.b.e[0]", 5, 10),
        ("b.a.b.e[0][0]", 5, 19),
        ("other.f", 6, 14),
    ] {
        let place = tree.place(path);
        let expected = Place::File {
            file: "f.yaml".to_owned(),
            line,
            column,
        };
        assert_eq!(place, Some(expected), "{path}");
    }
}

#[test]
fn an_item_keeps_its_number_when_others_are_taken_out() {
    let (mut tree, _) = parsed("l: [a, { x: 1 }, { x: 2, l: [b, c] }]\n");
    let list = tree.root.children_mut().unwrap();
    list[0].node.children_mut().unwrap().remove(1);
    for (here, original) in [
        ("l[0]", "l[0]"),
        ("l[1]", "l[2]"),
        ("l[1].x", "l[2].x"),
        ("l[1].l[1]", "l[2].l[1]"),
        ("l[1].y.z", "l[2].y.z"),
        ("l[1].l[7]", "l[2].l[7]"),
        ("nothing.x", "nothing.x"),
        ("", ""),
    ] {
        assert_eq!(tree.original(here), original);
    }
}

#[test]
fn what_is_no_configuration_is_told_once_with_its_place() {
    for (text, line) in [
        (
            "a: b: c",
            "f.yaml:1:5: this is not YAML: mapping values are not allowed in this context",
        ),
        (
            "a: 1\nb: [1, 2",
            "f.yaml:2:4: this is not YAML: unclosed bracket '['",
        ),
        (
            "- a",
            "f.yaml:1:1: the file must hold keys and values, as `config default` prints",
        ),
        (
            "a: 1\n---\nb: 2\n",
            "f.yaml:3:1: this is not YAML: only single YAML document expected but multiple found",
        ),
    ] {
        let parsed = parse(Some("f.yaml"), text);
        assert!(!parsed.is_yaml, "{text}");
        let lines: Vec<_> = parsed.problems.iter().map(ToString::to_string).collect();
        assert_eq!(lines, [line], "{text}");
    }
    let deep = "[".repeat(10_000);
    assert!(!parse(None, &deep).is_yaml);
    let deep = format!("a: {}{}", "[".repeat(200), "]".repeat(200));
    assert!(!parse(None, &deep).is_yaml);
}

/// What stands in the file may be a secret.
#[test]
fn what_is_no_yaml_is_not_shown() {
    for text in [
        "a: \"s3cret",
        "a: [s3cret",
        "s3cret: a: b",
        "a: *s3cret x",
        "a: !<s3cret",
    ] {
        let parsed = parse(None, text);
        assert!(!parsed.is_yaml, "{text}");
        assert!(!parsed.problems[0].what.contains("s3cret"), "{parsed:?}");
    }
}

#[test]
fn keys_that_are_there_twice_are_all_told_and_the_first_is_kept() {
    let (tree, problems) = parsed("a: 1\nb: { c: 1, c: 2 }\nl: [{ d: 1, d: 2 }]\na: 2\na: 3\n");
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "f.yaml:4:1: a: is there twice, first in line 1; keep one of the two",
            "f.yaml:5:1: a: is there twice, first in line 1; keep one of the two",
            "f.yaml:2:12: b.c: is there twice, first in line 2; keep one of the two",
            "f.yaml:3:13: l[0].d: is there twice, first in line 3; keep one of the two",
        ]
    );
    assert_eq!(tree.root.children().len(), 3);
    assert_eq!(tree.root.children()[0].node.content, Content::Unsigned(1));
}

#[test]
fn a_variable_is_put_over_what_is_there_and_is_its_place() {
    let (mut tree, _) = parsed("a: { b: 1 }\nc: 5\n");
    let value = Node {
        mark: Mark::Variable("V".to_owned()),
        content: Content::Bool(true),
    };
    for (path, place) in [("a.b", "V"), ("c.d", "V"), ("e.f", "V")] {
        let keys: Vec<_> = path.split('.').map(str::to_owned).collect();
        tree.set(&keys, &value);
        assert_eq!(tree.place(path).unwrap().to_string(), place, "{path}");
    }
    for (path, place) in [("a", "f.yaml:1:1"), ("c", "f.yaml:2:1"), ("e", "V")] {
        assert_eq!(tree.place(path).unwrap().to_string(), place, "{path}");
    }
}

#[track_caller]
fn parsed(text: &str) -> (Tree, Vec<Problem>) {
    let parsed = parse(Some("f.yaml"), text);
    assert!(parsed.is_yaml);
    (parsed.tree, parsed.problems)
}
