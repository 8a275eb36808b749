//! `GetIndicators` and `ListCityIndicators`.

use super::super::Shared;
use super::super::status::Answer;
use crate::proto::v1 as pb;
use tonic::Status;

/// The market, its regions and its groups.
pub async fn get(
    shared: &Shared,
    request: pb::GetIndicatorsRequest,
) -> Answer<pb::GetIndicatorsResponse> {
    let _ = shared.market(&request.market)?;
    Err(Status::unimplemented("being built"))
}

/// A page of cities.
pub async fn list_cities(
    shared: &Shared,
    request: pb::ListCityIndicatorsRequest,
) -> Answer<pb::ListCityIndicatorsResponse> {
    let _ = shared.market(&request.market)?;
    Err(Status::unimplemented("being built"))
}
