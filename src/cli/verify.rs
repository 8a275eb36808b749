//! `gale verify`: has the server prove that its matching is stable.

use super::client::Target;
use super::error::Error;
use super::output::Output;
use super::rounds;

/// Verifies a market's matching: counts blocking pairs by evaluating pairs directly.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The check shares no index with the engine. A market with changes since its last round is
checked as of that round. Exit code 1 if there is a blocking pair or a capacity is exceeded.

Example:
  gale verify --market us")]
pub struct Args {
    #[command(flatten)]
    target: Target,
}

/// Verifies and prints the certificate.
pub async fn run(args: Args, output: Output) -> Result<(), Error> {
    let (client, market) = args.target.connect().await?;
    let certificate = rounds::verify(&client, &market).await?;
    if output.json {
        output.json(&certificate)?;
    } else {
        output.line(rounds::certificate_table(&certificate))?;
        output.line(rounds::certificate_sentence(&certificate, output))?;
        for pair in &certificate.examples {
            output.line(format_args!(
                "  blocking: worker {} and vacancy {}",
                pair.worker_id, pair.vacancy_id
            ))?;
        }
        for violation in &certificate.violation_examples {
            output.line(format_args!("  violation: {violation}"))?;
        }
    }
    if rounds::is_stable(&certificate) {
        return Ok(());
    }
    Err(Error::Failed("the matching is not stable".into()))
}
