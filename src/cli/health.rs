//! `gale health`: whether a server serves, for health checks of containers.

use super::client::{Client, Server};
use super::error::Error;
use super::output::Output;
use serde_json::json;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;

/// Asks a server whether it serves: exit code 0 if it does, 1 if not yet or no longer.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Asks the standard grpc.health.v1 service, as a load balancer would.

Example:
  gale health --server 127.0.0.1:7400")]
pub struct Args {
    #[command(flatten)]
    server: Server,
    /// Full name of one service, such as gale.v1.MarketService; the whole server if left out.
    #[arg(long, value_name = "NAME", default_value = "")]
    service: String,
}

/// Asks and says.
pub async fn run(args: Args, output: Output) -> Result<(), Error> {
    let client = Client::connect(&args.server.server).await?;
    let request = HealthCheckRequest { service: args.service };
    let reply =
        client.health().check(request).await.map_err(Error::refused("cannot ask for health"))?;
    let status = reply.into_inner().status();
    if output.json {
        output.json(&json!({ "status": status.as_str_name() }))?;
    } else {
        output.line(status.as_str_name())?;
    }
    match status {
        ServingStatus::Serving => Ok(()),
        _ => Err(Error::Failed(format!("the server is {}", status.as_str_name()))),
    }
}
