// Repository::may_push: asks for an upload and takes it back.
#include "registry/repository.hpp"

namespace slipway::registry {

Status Repository::may_push(const Cancel& cancel) const {
  const Reply begun = TRY(state_->host->ask({.method = "POST",
                                             .location = state_->path("blobs/uploads/"),
                                             .body = [] { return http::Body::of(""); },
                                             .scopes = state_->push(),
                                             .what = "a push to " + state_->name,
                                             .accept = {201, 202}},
                                            cancel));
  const auto location = begun.headers.find("Location");
  if (!location) return {};
  // It was allowed, which is all that was asked; a registry that can not take an upload back forgets it in time.
  if (const auto place = state_->host->upload_place(*location, {}))
    (void)state_->host->exchange({.method = "DELETE",
                                  .location = *place,
                                  .scopes = state_->push(),
                                  .what = "the end of an upload",
                                  .accept = {200, 202, 204, 404, 405}},
                                 cancel);
  return cancel.check();
}

}  // namespace slipway::registry
