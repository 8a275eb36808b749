//! `PlanningService`: measures markets, and tries policies on copies of them. One file per
//! area; here is what they share.

mod figure;
mod flows;
mod guidance;
mod indicators;
mod policies;
mod scenarios;

pub use policies::parameters_in_full;

use super::Shared;
use super::status::{Answer, refuse};
use crate::domain::{Reason, Violation};
use crate::matching::Control;
use crate::planning::Error;
use crate::proto::v1 as pb;
use crate::proto::v1::planning_service_server::PlanningService;
use std::sync::Arc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// `PlanningService` over the server's markets.
#[derive(Clone)]
pub struct PlanningRpc(pub Shared);

#[tonic::async_trait]
impl PlanningService for PlanningRpc {
    type PriceGuidanceStream = guidance::PriceStream;
    type RunScenarioStream = ReceiverStream<Result<pb::RunScenarioResponse, Status>>;

    async fn get_indicators(
        &self,
        request: Request<pb::GetIndicatorsRequest>,
    ) -> Result<Response<pb::GetIndicatorsResponse>, Status> {
        indicators::get(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn list_city_indicators(
        &self,
        request: Request<pb::ListCityIndicatorsRequest>,
    ) -> Result<Response<pb::ListCityIndicatorsResponse>, Status> {
        indicators::list_cities(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn list_flows(
        &self,
        request: Request<pb::ListFlowsRequest>,
    ) -> Result<Response<pb::ListFlowsResponse>, Status> {
        flows::list(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn price_guidance(
        &self,
        request: Request<pb::PriceGuidanceRequest>,
    ) -> Result<Response<Self::PriceGuidanceStream>, Status> {
        guidance::start(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn run_scenario(
        &self,
        request: Request<pb::RunScenarioRequest>,
    ) -> Result<Response<Self::RunScenarioStream>, Status> {
        let steps = scenarios::run(&self.0, request.into_inner()).await?;
        Ok(Response::new(ReceiverStream::new(steps)))
    }

    async fn list_scenarios(
        &self,
        request: Request<pb::ListScenariosRequest>,
    ) -> Result<Response<pb::ListScenariosResponse>, Status> {
        scenarios::list(&self.0, &request.into_inner()).map(Response::new)
    }

    async fn compare_scenarios(
        &self,
        request: Request<pb::CompareScenariosRequest>,
    ) -> Result<Response<pb::CompareScenariosResponse>, Status> {
        scenarios::compare(&self.0, request.into_inner()).await.map(Response::new)
    }
}

/// Runs a computation off the runtime. It is told to stop when the caller leaves, the
/// deadline passes (both drop this future) or the server stops. Few run at once: who
/// comes later waits.
async fn off_runtime<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce(&Control) -> Result<T, Error> + Send + 'static,
) -> Answer<T> {
    let room = shared.planning.clone().acquire_owned().await.map_err(|_| stopping())?;
    let control = Arc::new(Control::default());
    let _stop = CancelOnDrop(control.clone());
    let work = tokio::task::spawn_blocking(move || {
        let result = work(&control);
        drop(room);
        result
    });
    tokio::select! {
        () = shared.stopping.cancelled() => Err(stopping()),
        result = work => match result {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(Error::Refused(violation))) => Err(refuse(violation)),
            // Nobody but the drop of this future cancels, or the server's stop.
            Ok(Err(Error::Cancelled(_))) => Err(stopping()),
            Err(_) => Err(refuse(Violation::new(Reason::Internal, "", "the computation failed"))),
        },
    }
}

fn stopping() -> Status {
    refuse(Violation::new(Reason::ShuttingDown, "", "the server is stopping"))
}

/// Tells a computation to stop once nobody waits for it.
struct CancelOnDrop<C: AsRef<Control>>(Arc<C>);

impl<C: AsRef<Control>> Drop for CancelOnDrop<C> {
    fn drop(&mut self) {
        (*self.0).as_ref().cancel();
    }
}
