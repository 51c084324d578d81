//! The whole reference as one text: a change of it is looked at as a user would.

use std::fmt::Write as _;

#[test]
fn the_reference_is_as_it_was() {
    let mut command = larder::cli::args::command();
    command.build();
    let mut reference = format!("$ larder --help\n{}", command.render_long_help());
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .filter(|name| name != "help")
        .collect();
    for name in names {
        let sub = command.find_subcommand_mut(&name).unwrap();
        let help = sub.render_long_help();
        let _ = write!(reference, "\n$ larder {name} --help\n{help}");
    }
    let lines: Vec<&str> = reference.lines().map(str::trim_end).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn every_command_has_an_example_and_every_flag_a_text() {
    let command = larder::cli::args::command();
    for sub in command.get_subcommands() {
        let name = sub.get_name();
        let after = sub.get_after_help().map(ToString::to_string);
        assert!(after.is_some_and(|t| t.contains("Example")), "{name}");
        for argument in sub.get_arguments() {
            assert!(
                argument.get_help().is_some(),
                "{name} {}",
                argument.get_id()
            );
        }
    }
}
