// Repository::upload and put_manifest: bytes to a registry. distribution-spec "Pushing": HEAD, mount or POST, then one
// PUT.
#include "base/text.hpp"
#include "registry/repository.hpp"

namespace slipway::registry {
namespace {

class Upload {
 public:
  Upload(const Repository::State& repository, const oci::Descriptor& descriptor, const Repository::OpenAt& open,
         std::optional<std::string> mount_from, const std::function<void(std::int64_t)>& progress, const Cancel& cancel)
      : repository_(repository),
        host_(*repository.host),
        descriptor_(descriptor),
        open_(open),
        mount_from_(std::move(mount_from)),
        progress_(progress),
        cancel_(cancel),
        what_("the upload of " + repository.blob_name(descriptor.digest)) {}

  Attempt<void> attempt() {
    auto begun = begin();
    if (!begun) return std::unexpected(std::move(begun).error());
    if (begun->status == 201) return {};  // mounted
    const auto location = begun->headers.find("Location");
    if (!location)
      return give_up(Error(Code::kDataLoss, fmt::format("{} names no place for {}", host_.registry(), what_)));
    auto place = host_.absolute(*location);
    if (!place) return give_up(std::move(place).error());
    auto done = host_.exchange({.method = "PUT",
                                .location = *place,
                                .query = {{"digest", descriptor_.digest.text()}},
                                .headers = {{"Content-Type", "application/octet-stream"}},
                                .body = [this] { return body(); },
                                .scopes = repository_.push(),
                                .what = what_,
                                .accept = {201, 204}},
                               cancel_);
    if (!done) return std::unexpected(std::move(done).error());
    return {};
  }

 private:
  Attempt<Reply> begin() {
    Ask ask{.method = "POST",
            .location = repository_.path("blobs/uploads/"),
            .body = [] { return http::Body::of(""); },
            .scopes = repository_.push(),
            .what = what_,
            .accept = {202}};
    if (mount_from_) {
      Ask mount = ask;
      mount.query = {{"mount", descriptor_.digest.text()}, {"from", *mount_from_}};
      mount.scopes.push_back(fmt::format("repository:{}:pull", *mount_from_));
      mount.accept = {201, 202};
      auto mounted = host_.exchange(mount, cancel_);
      if (mounted || mounted.error().retries > 0) return mounted;
      mount_from_.reset();  // no right to read there any more: send the bytes
      if (auto status = cancel_.check(); !status) return give_up(std::move(status).error());
    }
    return host_.exchange(ask, cancel_);
  }

  Result<http::Body> body() {
    struct Sending {
      layer::Source source;
      std::int64_t sent = 0;
    };
    auto state = std::make_shared<Sending>();
    state->source = TRY(open_(0));
    http::Body body;
    body.size = descriptor_.size;
    body.read = [this, state](char* buffer, std::size_t size) -> Result<std::size_t> {
      const std::size_t got = TRY(state->source(buffer, size));
      state->sent += static_cast<std::int64_t>(got);
      if (progress_) progress_(state->sent);
      return got;
    };
    body.rewind = [this, state]() -> Status {
      state->source = TRY(open_(0));
      state->sent = 0;
      return {};
    };
    return body;
  }

  const Repository::State& repository_;
  Host& host_;
  const oci::Descriptor& descriptor_;
  const Repository::OpenAt& open_;
  std::optional<std::string> mount_from_;
  const std::function<void(std::int64_t)>& progress_;
  const Cancel& cancel_;
  const std::string what_;
};

}  // namespace

Status Repository::upload(const oci::Descriptor& descriptor, const OpenAt& open,
                          const std::optional<std::string>& mount_from,
                          const std::function<void(std::int64_t sent)>& progress, const Cancel& cancel) const {
  const bool there = TRY(state_->exists(state_->path("blobs/" + descriptor.digest.text()), state_->push(),
                                        state_->blob_name(descriptor.digest), cancel));
  if (there) return {};
  const auto other = mount_from && *mount_from != state_->name ? mount_from : std::nullopt;
  Upload upload(*state_, descriptor, open, other, progress, cancel);
  return with_retries(state_->host->policy(), cancel, [&] { return upload.attempt(); });
}

Status Repository::put_manifest(const std::string& bytes, const std::string& media_type,
                                const std::string& tag_or_digest, const Cancel& cancel) const {
  const std::string what = fmt::format("the manifest {} of {}", tag_or_digest, state_->name);
  const Reply reply = TRY(state_->host->ask({.method = "PUT",
                                             .location = state_->path("manifests/" + tag_or_digest),
                                             .headers = {{"Content-Type", media_type}},
                                             .body = [&] { return http::Body::of(bytes); },
                                             .scopes = state_->push(),
                                             .what = what,
                                             .accept = {201}},
                                            cancel));
  const auto header = reply.headers.find("Docker-Content-Digest");
  const auto digest = header ? oci::Digest::parse(*header) : Result<oci::Digest>(oci::Digest::of(bytes));
  if (digest && digest->algorithm() == oci::Algorithm::kSha256 && *digest != oci::Digest::of(bytes))
    return fail(Code::kDataLoss, "{} stored {} as {}, it should be {}", state_->host->registry(), what, digest->text(),
                oci::Digest::of(bytes).text());
  return {};
}

}  // namespace slipway::registry
