// Repository::upload and put_manifest: bytes to a registry. distribution-spec "Pushing": HEAD, mount or POST, then one
// PUT. When that breaks, or the credentials run out in it, the session is asked how far it is and the rest follows in
// pieces (PATCH); when there is no session any more, a new one begins.
#include <algorithm>
#include <limits>

#include "base/text.hpp"
#include "base/time.hpp"
#include "registry/repository.hpp"

namespace slipway::registry {
namespace {

/// After a request that broke, the rest goes in pieces, each a request of its own: what a piece brought is safe.
constexpr std::int64_t kSmallestPiece = 16 * 1024;
constexpr std::int64_t kLargestPiece = 64 << 20;
constexpr std::int64_t kPieceSeconds = 10;   ///< so long may a piece take at the speed that was seen
constexpr std::int64_t kPiecesOfBroken = 8;  ///< what was read for a request lies half in buffers when it breaks
constexpr int kMostRenewals = 2;             ///< of credentials, without a piece in between
constexpr int kRepetitions = 1;              ///< so often are bytes that were sent before progress again
constexpr std::int64_t kAll = std::numeric_limits<std::int64_t>::max();

bool is_gone(int status) { return status == 404 || status == 410; }
/// A refusal of what was asked, not of who asks, how often, or how much.
bool is_refusal(int status) {
  return status >= 400 && status < 500 && status != 401 && status != 403 && status != 413 && status != 429;
}

/// "0-99" → 100. docker-registry says "0-0" where there is nothing yet.
std::optional<std::int64_t> held_bytes(const http::Headers& headers) {
  const auto range = headers.find("Range");
  if (!range) return std::nullopt;
  std::string_view text = *range;
  if (text.starts_with("bytes=")) text.remove_prefix(6);
  if (!text.starts_with("0-")) return std::nullopt;
  const auto last = parse_size(text.substr(2));
  if (!last || *last == kAll) return std::nullopt;
  return *last == 0 ? 0 : *last + 1;
}

/// One blob into one repository, over as many sessions (POST), requests and connections as it takes.
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

  Status run() {
    int tried = 0;
    int renewals = 0;
    std::int64_t forgiven_at = 0;
    while (true) {
      auto outcome = attempt();
      if (outcome) return {};
      Setback setback = std::move(outcome).error();
      if (best_ > forgiven_at) {  // the server has said that it holds more than ever before
        forgiven_at = best_;
        tried = renewals = 0;
      }
      judge(setback);
      if (setback.renewed && renewals++ < kMostRenewals) {
        TRY(cancel_.check());
        continue;
      }
      TRY(wait_for_retry(host_.policy(), setback, tried++, cancel_));
    }
  }

 private:
  Attempt<void> attempt() {
    if (place_ && doubtful_)
      if (auto asked = ask_how_far(); !asked) return asked;
    if (!place_ && sent_ == descriptor_.size) {
      // All of it was sent, and only the answer may have been lost.
      auto there = repository_.has(repository_.path("blobs/" + descriptor_.digest.text()), repository_.push(),
                                   repository_.blob_name(descriptor_.digest), cancel_);
      if (!there) return std::unexpected(std::move(there).error());
      if (*there) return {};
    }
    if (!place_) {
      auto begun = begin();
      if (!begun) return std::unexpected(std::move(begun).error());
      if (*begun) return {};
    }
    while (descriptor_.size - offset_ > piece_)
      if (auto sent = send_piece(); !sent) return sent;
    return finish();
  }

  /// Opens a session; true when the blob was mounted instead.
  Attempt<bool> begin() {
    auto reply = ask_to_begin();
    if (!reply) return std::unexpected(std::move(reply).error());
    if (reply->status == 201) return true;
    offset_ = 0;
    sent_ = 0;
    doubtful_ = resumed_ = false;
    if (auto moved = move(*reply, ""); !moved) return std::unexpected(std::move(moved).error());
    return false;
  }

  Attempt<Reply> ask_to_begin() {
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

  /// distribution-spec "Pushing a blob in chunks": GET of the session tells how much of it there is.
  Attempt<void> ask_how_far() {
    resumed_ = true;
    auto reply = host_.exchange({.location = *place_,
                                 .scopes = repository_.push(),
                                 .what = what_,
                                 .accept = {200, 202, 204},
                                 .lone = careful()},
                                cancel_);
    if (!reply) {
      // Whatever it has against telling us: a new session needs no answer.
      if (reply.error().status == 0 || !is_refusal(reply.error().status)) return std::unexpected(reply.error());
      place_.reset();
      return {};
    }
    const auto held = held_bytes(reply->headers);
    if (!held || *held > sent_) {  // it does not know, or claims what it was never sent
      place_.reset();
      return {};
    }
    doubtful_ = false;
    resumed_at_ = *held;
    settle(*held);
    return reply->headers.find("Location") ? move(*reply, *place_) : Attempt<void>();
  }

  Attempt<void> send_piece() {
    const std::int64_t size = piece_;
    auto reply = send("PATCH", size, {202, 204}, {});
    if (!reply) return std::unexpected(std::move(reply).error());
    const auto held = held_bytes(reply->headers).value_or(offset_ + size);
    if (held > offset_ + size)
      return give_up(Error(Code::kDataLoss, fmt::format("{} claims to have {} bytes of {}, it was sent {}",
                                                        host_.registry(), held, what_, offset_ + size)));
    const bool moved_on = held > offset_;
    settle(held);
    if (!moved_on)
      return std::unexpected(
          Setback{.error = Error(Code::kUnavailable, fmt::format("{} keeps nothing of {}", host_.registry(), what_)),
                  .retries = kMostRetries});
    grow();
    return reply->headers.find("Location") ? move(*reply, *place_) : Attempt<void>();
  }

  Attempt<void> finish() {
    auto reply = send("PUT", descriptor_.size - offset_, {201, 204}, {{"digest", descriptor_.digest.text()}});
    if (!reply) return std::unexpected(std::move(reply).error());
    const auto header = reply->headers.find("Docker-Content-Digest");
    const auto digest = header ? oci::Digest::parse(*header) : Result<oci::Digest>(descriptor_.digest);
    if (digest && digest->algorithm() == descriptor_.digest.algorithm() && *digest != descriptor_.digest)
      return give_up(
          Error(Code::kDataLoss, fmt::format("{} stored {} as {}", host_.registry(), what_, digest->text())));
    best_ = descriptor_.size;
    return {};
  }

  /// Sends `size` bytes from the offset. When it fails, how far the session is has to be asked for.
  Attempt<Reply> send(const char* method, std::int64_t size, std::vector<int> accept,
                      std::vector<std::pair<std::string, std::string>> query) {
    Ask ask{.method = method,
            .location = *place_,
            .query = std::move(query),
            .headers = {{"Content-Type", "application/octet-stream"}},
            .body = [this, size] { return body(size); },
            .scopes = repository_.push(),
            .what = what_,
            .accept = std::move(accept),
            .body_once = true,
            .lone = careful()};
    if (size > 0 && size < descriptor_.size)
      ask.headers.push_back({"Content-Range", fmt::format("{}-{}", offset_, offset_ + size - 1)});
    taken_ = 0;
    began_ms_ = monotonic_ms();
    auto reply = host_.exchange(ask, cancel_);
    if (!reply) doubtful_ = true;
    return reply;
  }

  Result<http::Body> body(std::int64_t size) {
    struct Sending {
      layer::Source source;
      std::int64_t left = 0;
    };
    auto state = std::make_shared<Sending>();
    *state = {TRY(open_(offset_)), size};
    http::Body body;
    body.size = size;
    body.read = [this, state](char* buffer, std::size_t room) -> Result<std::size_t> {
      if (state->left == 0) return 0;
      const auto most = static_cast<std::size_t>(std::min<std::int64_t>(state->left, static_cast<std::int64_t>(room)));
      const std::size_t got = TRY(state->source(buffer, most));
      state->left -= static_cast<std::int64_t>(got);
      taken_ += static_cast<std::int64_t>(got);
      note_sent(offset_ + taken_, static_cast<std::int64_t>(got));
      return got;
    };
    // No rewind: nobody below us sends bytes a second time into a session that may have taken them.
    return body;
  }

  void note_sent(std::int64_t position, std::int64_t bytes) {
    const bool fresh = position > farthest_;
    farthest_ = std::max(farthest_, position);
    sent_ = std::max(sent_, position);
    if (fresh || repeated_ <= kRepetitions) host_.patience().progress(bytes);
    if (progress_) progress_(position);
  }

  /// The server holds so much of the session.
  void settle(std::int64_t held) {
    offset_ = held;
    if (held <= best_) return;
    host_.patience().progress(held - best_);
    best_ = held;
    repeated_ = 0;
  }

  Attempt<void> move(const Reply& reply, const std::string& from) {
    const auto location = reply.headers.find("Location");
    if (!location)
      return give_up(Error(Code::kDataLoss, fmt::format("{} names no place for {}", host_.registry(), what_)));
    auto place = host_.upload_place(*location, from);
    if (!place) return give_up(std::move(place).error());
    place_ = *std::move(place);
    return {};
  }

  /// What a setback means for the session, for the pieces, and for trying again.
  void judge(Setback& setback) {
    ++repeated_;
    if (setback.status == 0 && setback.retries > 0 && best_ > 0) setback.retries = kMostRetries;
    // It has less than it said: where it is now is asked for, if anything moved since that was asked last.
    const bool behind = setback.status == 416 && place_ && (!resumed_ || offset_ > resumed_at_);
    if (behind) setback.retries = kMostRetries;
    const bool no_pieces = piece_ != kAll && best_ == 0 && (setback.status == 405 || setback.status == 501);
    if (place_ && (is_gone(setback.status) || no_pieces || (resumed_ && !behind && is_refusal(setback.status)))) {
      place_.reset();  // the session is gone, or mended wrong: begin anew
      setback.retries = kMostRetries;
    }
    if (no_pieces) {
      whole_only_ = true;
      piece_ = kAll;
    } else if (setback.retries > 0 || setback.renewed) {
      shrink();
    }
    taken_ = 0;
  }

  [[nodiscard]] bool careful() const { return piece_ != kAll; }

  void shrink() {
    if (taken_ < kSmallestPiece || whole_only_) return;
    const std::int64_t elapsed = std::max<std::int64_t>(1, monotonic_ms() - began_ms_);
    const std::int64_t most = std::min(taken_ / kPiecesOfBroken, taken_ * 1000 / elapsed * kPieceSeconds);
    piece_ = std::clamp(most, kSmallestPiece, kLargestPiece);
    broken_ = taken_;
  }

  /// A piece went through: the next may be larger, below what broke.
  void grow() {
    if (piece_ <= broken_ / 4) piece_ *= 2;
  }

  const Repository::State& repository_;
  Host& host_;
  const oci::Descriptor& descriptor_;
  const Repository::OpenAt& open_;
  std::optional<std::string> mount_from_;
  const std::function<void(std::int64_t)>& progress_;
  const Cancel& cancel_;
  const std::string what_;

  std::optional<std::string> place_;  ///< of the session, if there is one
  std::int64_t offset_ = 0;           ///< bytes that the session holds
  std::int64_t sent_ = 0;             ///< the most it can hold: what was sent into it
  bool doubtful_ = false;             ///< a request broke: the offset has to be asked for
  bool resumed_ = false;              ///< the session went on after that
  std::int64_t resumed_at_ = 0;       ///< from here
  std::int64_t piece_ = kAll;         ///< bytes of a PATCH; kAll: everything in the PUT
  std::int64_t broken_ = 0;           ///< bytes of the request that broke last
  bool whole_only_ = false;           ///< the server knows no PATCH
  std::int64_t taken_ = 0;            ///< bytes that were read for the request under way
  std::int64_t began_ms_ = 0;
  std::int64_t best_ = 0;      ///< the most that a session ever held
  std::int64_t farthest_ = 0;  ///< the most that was ever sent
  int repeated_ = 0;           ///< setbacks since a session held more than ever
};

}  // namespace

Status Repository::upload(const oci::Descriptor& descriptor, const OpenAt& open,
                          const std::optional<std::string>& mount_from,
                          const std::function<void(std::int64_t sent)>& progress, const Cancel& cancel) const {
  return upload(descriptor, open, [&] { return mount_from; }, progress, cancel);
}

Status Repository::upload(const oci::Descriptor& descriptor, const OpenAt& open, const FindMount& find_mount,
                          const std::function<void(std::int64_t sent)>& progress, const Cancel& cancel) const {
  const Patience::Watch watch(state_->host->patience());
  const bool there = TRY(state_->exists(state_->path("blobs/" + descriptor.digest.text()), state_->push(),
                                        state_->blob_name(descriptor.digest), cancel));
  if (there) return {};
  auto other = TRY(find_mount());
  if (other == state_->name) other.reset();
  return Upload(*state_, descriptor, open, std::move(other), progress, cancel).run();
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
