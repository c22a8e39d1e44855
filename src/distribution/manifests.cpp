// Manifests: end-3, 7a, 7b and 9.
#include "base/text.hpp"
#include "distribution/document.hpp"
#include "distribution/state.hpp"
#include "distribution/turn.hpp"
#include "oci/image.hpp"
#include "oci/reference.hpp"

namespace slipway::distribution {
namespace {

constexpr std::size_t kMostTags = 256;     ///< of one PUT
constexpr std::size_t kMostMissing = 100;  ///< that an answer names

std::unexpected<Problem> unknown(const Call& call) {
  return refuse(404, ProblemCode::kManifestUnknown,
                fmt::format("{} has no manifest {}", call.repository(), quoted(call.route.object, 200)));
}

bool is_digest(std::string_view object) { return object.contains(':'); }

/// By the tag or digest of the path.
std::expected<std::optional<store::LinkedManifest>, Problem> find(Call& call) {
  const std::string& object = call.route.object;
  if (is_digest(object)) {
    const auto digest = digest_in(object);
    if (!digest) return std::unexpected(digest.error());
    return judged(call, call.registry.repositories.find_manifest(call.repository(), *digest));
  }
  if (!oci::Reference::is_tag(object)) return std::nullopt;
  auto tag = judged(call, call.registry.repositories.find_tag(call.repository(), object));
  if (!tag) return std::unexpected(std::move(tag).error());
  if (!*tag) return std::nullopt;
  return std::move((*tag)->manifest);
}

bool is_known(const Call& call, const oci::Digest& digest) {
  return call.request.header("If-None-Match") == "\"" + digest.text() + "\"";
}

/// `bytes`: only needed for a GET of who does not know it.
void send(Call& call, const store::LinkedManifest& manifest, std::string_view bytes) {
  httpd::Answer& answer = call.answer;
  answer.header("Docker-Content-Digest", manifest.digest.text());
  answer.header("ETag", "\"" + manifest.digest.text() + "\"");
  if (is_known(call, manifest.digest)) {
    (void)answer.send(304, "");
    return;
  }
  answer.header("Content-Type", manifest.media_type);
  (void)(call.is("HEAD") ? answer.start(200, manifest.size) : answer.send(200, bytes));
}

/// A place for a manifest that is held while it comes or goes: peers that are slow at it must not fill the memory.
/// Small ones need none.
class Held {
 public:
  Held(Call& call, std::optional<std::int64_t> size) {
    if (size.value_or(oci::kManifestLimit) > kLargeManifest) turn_.emplace(call.registry.large_manifests, kMostLarge);
  }
  explicit operator bool() const { return !turn_ || *turn_; }

 private:
  static constexpr std::int64_t kLargeManifest = 256 * 1024;
  static constexpr int kMostLarge = 16;
  std::optional<Turn> turn_;
};

std::unexpected<Problem> too_many() {
  return std::unexpected(
      Problem{503, ProblemCode::kTooManyRequests, "too many large manifests are on their way at the same time", {}, 1});
}

Outcome pull_through(Call& call) {
  auto found = call.registry.mirror->manifest(call.repository(), call.route.object, call.asker());
  if (!found) return std::unexpected(std::move(found).error());
  const Held held(call, std::ssize(found->bytes));
  if (!held) return too_many();
  if (found->warning) call.answer.header("Warning", *found->warning);
  send(call, found->manifest, found->bytes);
  // The client has its answer and does not wait for this.
  if (const auto noted = call.registry.repositories.note_use(call.repository(), found->manifest.digest); !noted)
    call.registry.options.log(printable(noted.error().message(), 500));
  return {};
}

Outcome pull(Call& call) {
  if (call.registry.mirror) return pull_through(call);
  const auto found = find(call);
  if (!found) return std::unexpected(found.error());
  if (!*found) return unknown(call);
  const store::LinkedManifest& manifest = **found;
  const Held held(call, call.is("GET") ? manifest.size : 0);
  if (!held) return too_many();
  std::string bytes;
  if (call.is("GET") && !is_known(call, manifest.digest)) {
    auto read = call.registry.store.read_blob(manifest.digest, oci::kManifestLimit);
    if (!read && read.error().code() == Code::kNotFound) return unknown(call);  // deleted since it was found
    if (!read) return trouble(call, read.error());
    bytes = *std::move(read);
  }
  send(call, manifest, bytes);
  return {};
}

// ---------------------------------------------------------------- push
struct Pushed {
  std::string bytes;
  Document document;
  std::vector<std::string> tags;
};

/// What the path names: the digest the bytes must have, or a tag.
std::expected<void, Problem> judge_target(Call& call, Pushed& pushed) {
  const std::string& object = call.route.object;
  if (!is_digest(object)) {
    if (!oci::Reference::is_tag(object))
      return refuse(400, ProblemCode::kManifestInvalid, fmt::format("{} is no tag", quoted(object, 200)));
    pushed.tags.push_back(object);
    return {};
  }
  const auto digest = digest_in(object);
  if (!digest) return std::unexpected(digest.error());
  oci::Hasher hasher(digest->algorithm());
  hasher.update(pushed.bytes);
  if (const oci::Digest found = hasher.finish(); found != *digest)
    return refuse(400, ProblemCode::kDigestInvalid, fmt::format("the manifest's digest is {}", found.text()));
  pushed.document.manifest.digest = *digest;
  for (auto& tag : call.request.target().queries("tag")) {
    if (!oci::Reference::is_tag(tag))
      return refuse(400, ProblemCode::kManifestInvalid, fmt::format("{} is no tag", quoted(tag, 200)));
    if (pushed.tags.size() == kMostTags)
      return refuse(414, ProblemCode::kManifestInvalid, fmt::format("more than {} tags at once", kMostTags));
    pushed.tags.push_back(std::move(tag));
  }
  return {};
}

std::expected<Pushed, Problem> receive(Call& call) {
  auto bytes = call.request.read_all(oci::kManifestLimit);
  if (!bytes && bytes.error().code() == Code::kOutOfRange)
    return refuse(413, ProblemCode::kSizeInvalid, fmt::format("a manifest has at most {} bytes", oci::kManifestLimit));
  if (!bytes) return refuse(400, ProblemCode::kManifestInvalid, bytes.error().what());
  const std::string type = oci::media_type::of_content_type(call.request.header("Content-Type").value_or(""));
  auto document = read_document(*bytes, type);
  if (!document) return refuse(400, ProblemCode::kManifestInvalid, printable(document.error().message(), 500));
  Pushed pushed{std::move(*bytes), std::move(*document), {}};
  if (auto judged_target = judge_target(call, pushed); !judged_target)
    return std::unexpected(std::move(judged_target).error());
  return pushed;
}

/// What it names has the sizes that it tells: a client that goes by them would get no image. What is not here is
/// somebody else's complaint.
Outcome judge_sizes(Call& call, const Document& document) {
  for (const auto& named : document.named) {
    const auto here = judged(call, call.registry.repositories.find_blob(call.repository(), named.digest));
    if (!here) return std::unexpected(here.error());
    if (*here && (*here)->size != named.size)
      return refuse(
          400, ProblemCode::kManifestInvalid,
          fmt::format("{} has {} bytes, and the manifest says {}", named.digest.text(), (*here)->size, named.size));
  }
  return {};
}

/// Stores the bytes under the digest's own algorithm.
Status store_bytes(store::Store& store, const store::Lease& lease, const Pushed& pushed) {
  const oci::Digest& digest = pushed.document.manifest.digest;
  if (TRY(store.acquire_blob(lease, digest))) return {};
  store::BlobWriter writer = TRY(store.write_blob(lease));
  TRY(writer.write(pushed.bytes));
  TRY(writer.commit({.digest = digest, .size = std::ssize(pushed.bytes)}));
  return {};
}

/// Of what the manifest names and the repository does not have, as much as a person reads.
std::unexpected<Problem> lacks(std::vector<oci::Digest> missing) {
  std::string message =
      fmt::format("the repository does not have {}, which the manifest names: push that first", missing.front().text());
  if (const std::size_t others = missing.size() - 1; others > 0)
    message = fmt::format("the repository does not have {} and {} more that the manifest names: push them first",
                          missing.front().text(), others);
  if (missing.size() > kMostMissing) missing.resize(kMostMissing, missing.front());
  return std::unexpected(Problem{400, ProblemCode::kManifestBlobUnknown, std::move(message), std::move(missing)});
}

Outcome push(Call& call) {
  const Held held(call, call.request.content_length());
  if (!held) return too_many();
  const auto pushed = receive(call);
  if (!pushed) return std::unexpected(pushed.error());
  if (auto sizes = judge_sizes(call, pushed->document); !sizes) return sizes;
  const store::NewManifest& manifest = pushed->document.manifest;
  const auto lease = judged(call, call.registry.store.lease("registry"));
  if (!lease) return std::unexpected(lease.error());
  if (auto stored = judged(call, store_bytes(call.registry.store, *lease, *pushed)); !stored) return stored;
  auto missing = judged(call, call.registry.repositories.put_manifest(call.repository(), manifest, pushed->tags));
  if (!missing) return std::unexpected(missing.error());
  if (!missing->empty()) return lacks(*std::move(missing));
  call.answer.header("Location", fmt::format("/v2/{}/manifests/{}", call.repository(), manifest.digest.text()));
  call.answer.header("Docker-Content-Digest", manifest.digest.text());
  if (manifest.subject) call.answer.header("OCI-Subject", manifest.subject->text());
  if (is_digest(call.route.object))
    for (const auto& tag : pushed->tags) call.answer.header("OCI-Tag", tag);
  (void)call.answer.send(201, "");
  return {};
}

Outcome remove(Call& call) {
  const std::string& object = call.route.object;
  auto& repositories = call.registry.repositories;
  std::expected<bool, Problem> removed = false;
  if (is_digest(object)) {
    const auto digest = digest_in(object);
    if (!digest) return std::unexpected(digest.error());
    removed = judged(call, repositories.remove_manifest(call.repository(), *digest));
  } else if (oci::Reference::is_tag(object)) {
    removed = judged(call, repositories.remove_tag(call.repository(), object));
  }
  if (!removed) return std::unexpected(removed.error());
  if (!*removed) return unknown(call);
  (void)call.answer.send(202, "");
  return {};
}

}  // namespace

Outcome handle_manifest(Call& call) {
  if (call.is("GET") || call.is("HEAD")) return pull(call);
  if (call.is("PUT")) return push(call);
  if (call.is("DELETE")) return remove(call);
  return no_such_method(call, "GET, HEAD, PUT, DELETE");
}

}  // namespace slipway::distribution
