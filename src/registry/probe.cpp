// Looks that are taken before something is decided: one question each, without retries.
#include "base/text.hpp"
#include "registry/repository.hpp"

namespace slipway::registry {
namespace {

/// The reply, or nothing when it is 404.
Result<std::optional<Reply>> look(Host& host, const Ask& ask, const Cancel& cancel) {
  auto reply = host.exchange(ask, cancel);
  if (!reply) return std::unexpected(std::move(reply).error().error);
  if (reply->status == 404) return std::nullopt;
  return std::optional(std::move(*reply));
}

}  // namespace

Result<std::optional<oci::Digest>> Repository::tag_digest(const oci::Reference& reference, const Cancel& cancel) const {
  const auto reply = TRY(look(*state_->host,
                              {.method = "HEAD",
                               .location = state_->path("manifests/" + reference.tag()),
                               .headers = state_->headers({accept_manifests()}),
                               .scopes = state_->pull(),
                               .what = "the manifest of " + reference.familiar(),
                               .accept = {200, 404}},
                              cancel));
  if (!reply) return fail(Code::kNotFound, "{} does not have {}", state_->host->registry(), reference.familiar());
  const auto header = reply->headers.find("Docker-Content-Digest");
  if (!header) return std::nullopt;
  auto digest = oci::Digest::parse(*header);
  return digest ? std::optional(*digest) : std::nullopt;
}

Result<std::optional<Reply>> Repository::State::look_at(const oci::Digest& digest, const Cancel& cancel) const {
  return look(*host,
              {.method = "HEAD",
               .location = path("blobs/" + digest.text()),
               .headers = headers(),
               .scopes = pull(),
               .what = blob_name(digest),
               .accept = {200, 404}},
              cancel);
}

Result<Sized> Repository::blob_size(const oci::Digest& digest, const Cancel& cancel) const {
  const std::string what = state_->blob_name(digest);
  const auto reply = TRY(state_->look_at(digest, cancel));
  if (!reply) return fail(Code::kNotFound, "{} does not have the {}", state_->host->registry(), what);
  const auto length = reply->headers.find("Content-Length");
  const auto size = length ? parse_size(*length) : Result<std::int64_t>(std::unexpected(Error(Code::kNotFound, "")));
  if (!size)
    return fail(Code::kFailedPrecondition, "{} does not tell the size of the {}", state_->host->registry(), what);
  return Sized{*size, word_of(reply->headers)};
}

Word word_of(const http::Headers& headers) {
  // warning-value = warn-code SP warn-agent SP warn-text; a list. Text that looks like one costs a transfer.
  for (const auto& header : headers.all("Warning"))
    for (const std::string_view part : split(header, ',')) {
      const std::string_view code = trim(part).substr(0, 4);
      if (code == "110 " || code == "111 " || code == "112 ") return Word::kStale;
    }
  return Word::kFirm;
}

}  // namespace slipway::registry
