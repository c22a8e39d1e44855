#include "distribution/mirror.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"
#include "base/time.hpp"
#include "distribution/document.hpp"
#include "distribution/turn.hpp"
#include "distribution/via.hpp"
#include "oci/image.hpp"
#include "oci/reference.hpp"
#include "registry/via.hpp"
#include "sys/lock.hpp"

namespace slipway::distribution {
namespace {

constexpr std::int64_t kLeftAlone = 10;           ///< seconds
constexpr std::int64_t kLongestLeftAlone = 3600;  ///< an upstream may ask for a year
constexpr int kMostQuestions = 128;               ///< at the same time
constexpr int kMostFetches = 64;                  ///< downloads at the same time
constexpr std::string_view kStale = "110 - \"Response is Stale\"";
constexpr std::string_view kDisconnected = "112 - \"Disconnected Operation\"";

/// Whether the failure says that the upstream can not be asked now, rather than what it answered.
bool is_trouble(const Error& error) {
  switch (error.code()) {
    case Code::kNotFound:
    case Code::kUnauthenticated:
    case Code::kPermissionDenied:
    case Code::kCancelled:
      return false;
    default:
      return true;
  }
}

std::unexpected<Problem> too_many() {
  return std::unexpected(Problem{503, ProblemCode::kTooManyRequests, "too many requests wait for the upstream", {}, 2});
}

/// Whether it is this process that can not open anything now: then nothing is known about the upstream.
bool out_of_descriptors() {
  const sys::Fd probe(::eventfd(0, EFD_CLOEXEC));
  return !probe;
}

/// An upstream that is a mirror itself may not have asked either: who asks us is told so too.
std::optional<std::string> warning_of(registry::Word word) {
  return word == registry::Word::kStale ? std::optional<std::string>(kStale) : std::nullopt;
}

bool is_of_nothing(const oci::Digest& digest) { return oci::Hasher(digest.algorithm()).finish() == digest; }

std::unexpected<Problem> not_here(ProblemCode code, std::string_view what) {
  return std::unexpected(Problem{404, code, fmt::format("the mirror has no {} and does not ask for it", what)});
}

}  // namespace

Mirror::Mirror(store::Store& store, store::Repositories& repositories, const Upstream& upstream,
               std::function<void(const std::string&)> log, int most_waiting)
    : store_(store),
      repositories_(repositories),
      upstream_(upstream),
      log_(std::move(log)),
      most_waiting_(most_waiting) {}

Mirror::~Mirror() {
  ending_.fire("the mirror ends");
  reap(true);
}

bool Mirror::is_upstream(std::string_view host) const {
  if (host == upstream_.name) return true;
  return upstream_.name == "docker.io" && (host == "registry-1.docker.io" || host == "index.docker.io");
}

std::string Mirror::upstream_repository(std::string repository) const {
  const bool official = upstream_.name == "docker.io" && !repository.empty() && !repository.contains('/');
  return official ? "library/" + repository : repository;
}

/// Whoever has the guard of a key is the only one to ask the upstream for it.
Mirror::Guard Mirror::one_at_a_time(const Key& key) {
  std::shared_ptr<std::mutex> mutex;
  {
    auto locks = locks_.lock();
    if (locks->size() > 1024) std::erase_if(*locks, [](const auto& one) { return one.second.expired(); });
    auto& known = (*locks)[key];
    mutex = known.lock();
    if (!mutex) known = mutex = std::make_shared<std::mutex>();
  }
  auto* lock = new std::unique_lock<std::mutex>(*mutex);
  return {lock, [mutex](std::unique_lock<std::mutex>* held) { delete held; }};
}

bool Mirror::rests(const Rest& rest) { return monotonic_ms() < rest.until; }

void Mirror::note(const Error& error, Rest& what) {
  // Wrong bytes, or a full disk or too few descriptors of ours, are no reason to ask it less.
  if (is_trouble(error) && out_of_descriptors()) {
    log_("this process has no descriptor left (ulimit -n): " + printable(error.message(), 500));
    return;
  }
  if (error.code() == Code::kUnavailable || error.code() == Code::kDeadlineExceeded) {
    const std::int64_t seconds = std::clamp(error.retry_after(), kLeftAlone, kLongestLeftAlone);
    for (Rest* rest : {&manifests_, &blobs_}) {
      if (error.retry_after() > 0 && rest != &what) continue;
      *rest->because.lock() = told(error);
      rest->until = monotonic_ms() + seconds * 1000;
    }
  }
  if (is_trouble(error)) log_(printable("upstream: " + error.message(), 500));
}

std::string Mirror::told(const Error& error) const {
  // The client's text would name the user that this mirror logs in as.
  if (error.code() == Code::kUnauthenticated)
    return fmt::format(
        "the upstream {} wants other credentials than this mirror has; who runs it logs in with `slipway login {}` "
        "there",
        upstream_.name, upstream_.name);
  if (error.code() == Code::kPermissionDenied)
    return fmt::format("the upstream {} does not allow this mirror to have it", upstream_.name);
  // What the mirrors say to each other would be longer than a status line.
  if (error.sys_errno() == ELOOP)
    return fmt::format("a loop of mirrors stands behind the upstream {}; --mirror-of has to name the registry itself",
                       upstream_.name);
  const bool away = error.code() == Code::kUnavailable || error.code() == Code::kDeadlineExceeded;
  return printable(fmt::format("the upstream {} {}: {}", upstream_.name, away ? "can not be asked" : "answers wrongly",
                               error.what()),
                   400);
}

Problem Mirror::problem(const Error& error, ProblemCode unknown) {
  switch (error.code()) {
    case Code::kNotFound:
      return {404, unknown, printable(error.what(), 300)};
    case Code::kUnauthenticated:
    case Code::kPermissionDenied:
      return {403, ProblemCode::kDenied, told(error)};
    case Code::kResourceExhausted:
    case Code::kCancelled:
      return problem_of(error);
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
      // A loop is passed on as one: who is in it must not repeat the question.
      return {error.sys_errno() == ELOOP ? 508 : 503, ProblemCode::kUnavailable, told(error)};
    default:
      return {502, ProblemCode::kUnsupported, told(error)};
  }
}

Result<oci::Reference> Mirror::reference(const std::string& repository, std::string_view rest) const {
  return oci::Reference::parse(fmt::format("{}/{}{}", upstream_.name, repository, rest));
}

Result<registry::Repository> Mirror::remote(const std::string& repository, const Asker& asker) const {
  // Not by way of mirrors that are configured for it: this is one of them, perhaps.
  const auto origin = upstream_.client->repository(TRY(reference(repository, "")), upstream_.trust).without_mirrors();
  return registry::by_way_of(origin, via_header(asker.mirrors, upstream_.mirror));
}

Problem Mirror::left_alone(Rest& rest) {
  const std::int64_t seconds = std::max<std::int64_t>((rest.until - monotonic_ms() + 999) / 1000, 1);
  return {503,
          ProblemCode::kUnavailable,
          fmt::format("{} (it is asked again in {} s)", *rest.because.lock(), seconds),
          {},
          static_cast<int>(seconds)};
}

// ---------------------------------------------------------------- manifests
std::expected<Mirror::FoundManifest, Problem> Mirror::manifest(const std::string& repository, const std::string& object,
                                                               const Asker& asker) {
  if (object.contains(':')) {
    const auto digest = oci::Digest::parse(object);
    if (!digest) return std::unexpected(Problem{400, ProblemCode::kDigestInvalid, "not a digest that is known here"});
    return by_digest(repository, *digest, asker);
  }
  if (!oci::Reference::is_tag(object)) return std::unexpected(Problem{404, ProblemCode::kManifestUnknown, "not a tag"});
  return by_tag(repository, object, asker);
}

std::optional<std::expected<Mirror::FoundManifest, Problem>> Mirror::read(const store::LinkedManifest& manifest,
                                                                          std::string_view warning) {
  auto bytes = store_.read_blob(manifest.digest, oci::kManifestLimit);
  if (!bytes && bytes.error().code() == Code::kNotFound) return std::nullopt;
  if (!bytes) {
    log_(printable(bytes.error().message(), 500));
    return std::unexpected(problem_of(bytes.error()));
  }
  return FoundManifest{manifest, *std::move(bytes),
                       warning.empty() ? std::nullopt : std::optional<std::string>(warning)};
}

std::expected<Mirror::FoundManifest, Problem> Mirror::by_digest(const std::string& repository,
                                                                const oci::Digest& digest, const Asker& asker) {
  const auto here = [&]() -> std::optional<std::expected<FoundManifest, Problem>> {
    const auto found = repositories_.find_manifest(repository, digest);
    if (!found) return std::unexpected(problem_of(found.error()));
    return *found ? read(**found) : std::nullopt;
  };
  if (auto known = here()) return *std::move(known);
  const Turn place(waiting_, most_waiting_);
  if (!place) return too_many();
  const auto guard = one_at_a_time(fmt::format("{}@{}", repository, digest.text()));
  if (offline()) {
    if (const auto taken = take_images(repository); !taken) return std::unexpected(problem_of(taken.error()));
  }
  if (auto known = here()) return *std::move(known);
  if (offline()) return not_here(ProblemCode::kManifestUnknown, "such manifest");
  if (rests(manifests_)) return std::unexpected(left_alone(manifests_));
  const Turn turn(questions_, kMostQuestions);
  if (!turn) return too_many();
  auto fetched = fetch_manifest(repository, "@" + digest.text(), asker);
  if (fetched) return *std::move(fetched);
  note(fetched.error(), manifests_);
  return std::unexpected(problem(fetched.error(), ProblemCode::kManifestUnknown));
}

std::expected<Mirror::FoundManifest, Problem> Mirror::by_tag(const std::string& repository, const std::string& tag,
                                                             const Asker& asker) {
  const auto fresh =
      [&](const std::optional<store::Tag>& here) -> std::optional<std::expected<FoundManifest, Problem>> {
    const std::int64_t age = here ? now().seconds - here->checked : 0;
    if (!here || age < 0 || age >= upstream_.fresh_seconds || offline()) return std::nullopt;
    return read(here->manifest);
  };
  const auto as_it_was = [&](const std::optional<store::Tag>& here, std::string_view why) {
    return here ? stale(repository, tag, *here, why) : std::nullopt;
  };
  auto here = repositories_.find_tag(repository, tag);
  if (!here) return std::unexpected(problem_of(here.error()));
  if (auto found = fresh(*here)) return *std::move(found);
  const Turn place(waiting_, most_waiting_);
  if (!place) return as_it_was(*here, "too many requests wait for it").value_or(too_many());
  const auto guard = one_at_a_time(fmt::format("{}:{}", repository, tag));
  if (offline()) {
    if (const auto taken = take_images(repository); !taken) return std::unexpected(problem_of(taken.error()));
  }
  here = repositories_.find_tag(repository, tag);  // somebody may have asked while we waited
  if (!here) return std::unexpected(problem_of(here.error()));
  if (auto found = fresh(*here)) return *std::move(found);
  if (offline()) {
    auto found = *here ? read((*here)->manifest, kDisconnected) : std::nullopt;
    return found ? *std::move(found) : not_here(ProblemCode::kManifestUnknown, "such tag");
  }
  if (rests(manifests_))
    if (auto found = as_it_was(*here, "it failed a moment ago")) return *std::move(found);
  const Turn turn(questions_, kMostQuestions);
  if (!turn) return as_it_was(*here, "too many requests wait for it").value_or(too_many());
  return refreshed(repository, tag, *here, asker);
}

std::expected<Mirror::FoundManifest, Problem> Mirror::refreshed(const std::string& repository, const std::string& tag,
                                                                const std::optional<store::Tag>& here,
                                                                const Asker& asker) {
  const auto failed = [&](const Error& error) -> std::expected<FoundManifest, Problem> {
    note(error, manifests_);
    if (is_trouble(error) && here)
      if (auto found = stale(repository, tag, *here, error.what())) return *std::move(found);
    // The tag is gone: it must not come back as a stale one.
    if (error.code() == Code::kNotFound && here) (void)repositories_.remove_tag(repository, tag);
    return std::unexpected(problem(error, ProblemCode::kManifestUnknown));
  };
  if (rests(manifests_) && !here) return std::unexpected(left_alone(manifests_));
  const auto from = remote(repository, asker);
  if (!from) return failed(from.error());
  const auto asked = reference(repository, ":" + tag);
  if (!asked) return failed(asked.error());
  const auto current = from->tag_digest(*asked, asker.cancel());
  if (!current) return failed(current.error());
  manifests_.until = 0;
  if (here && *current && **current == here->manifest.digest) {
    if (const auto confirmed = repositories_.confirm_tag(repository, tag); !confirmed)
      return std::unexpected(problem_of(confirmed.error()));
    if (auto found = read(here->manifest)) return *std::move(found);
  }
  auto fetched = fetch_manifest(repository, ":" + tag, asker);
  if (!fetched) return failed(fetched.error());
  return *std::move(fetched);
}

std::optional<std::expected<Mirror::FoundManifest, Problem>> Mirror::stale(const std::string& repository,
                                                                           const std::string& tag,
                                                                           const store::Tag& here,
                                                                           std::string_view why) {
  log_(printable(fmt::format("serving {}:{} as it was at {}: {}", repository, tag, rfc3339({here.checked, 0}), why),
                 500));
  return read(here.manifest, kStale);
}

/// `object`: ":tag" or "@digest".
Result<Mirror::FoundManifest> Mirror::fetch_manifest(const std::string& repository, const std::string& object,
                                                     const Asker& asker) {
  const auto from = TRY(remote(repository, asker));
  const auto asked = TRY(reference(repository, object));
  registry::Document got = TRY(from.manifest(asked, asker.cancel()));
  Document document = TRY(
      context(read_document(got.bytes, got.media_type), "while reading {} of {}", asked.familiar(), upstream_.name));
  document.manifest.digest = got.digest;
  document.manifest.sparse = true;
  const store::Lease lease = TRY(store_.lease("mirror"));
  if (!TRY(store_.acquire_blob(lease, got.digest))) {
    store::BlobWriter writer = TRY(store_.write_blob(lease));
    TRY(writer.write(got.bytes));
    TRY(writer.commit({.digest = got.digest, .size = std::ssize(got.bytes)}));
  }
  std::vector<std::string> tags;
  if (object.starts_with(':')) tags.push_back(object.substr(1));
  TRY(repositories_.put_manifest(repository, document.manifest, tags));
  return FoundManifest{{got.digest, document.manifest.media_type, std::ssize(got.bytes)}, std::move(got.bytes), {}};
}

// ---------------------------------------------------------------- blobs
std::optional<std::expected<Mirror::FoundBlob, Problem>> Mirror::from_store(const oci::Digest& digest) {
  auto file = store_.open_blob(digest);
  if (!file && file.error().code() == Code::kNotFound) return std::nullopt;
  if (!file) {
    log_(printable(file.error().message(), 500));
    return std::unexpected(problem_of(file.error()));
  }
  (void)sys::share_lock(file->get());  // gc leaves it alone; without the lock it is sent all the same
  const auto held = std::make_shared<sys::Fd>(std::move(*file));
  const off_t size = ::lseek(held->get(), 0, SEEK_END);
  return FoundBlob{size,
                   [held](httpd::Answer& answer, std::int64_t offset, std::int64_t length) {
                     return answer.write_file(held->get(), offset, length);
                   },
                   std::nullopt};
}

/// A client that had a shared layer already never asked for it under this repository, so nothing here says that the
/// repository has it, and nobody will be asked. What another repository of this mirror has is open to the same clients;
/// the link is not made, and the warning tells builders that this is no proof.
std::optional<std::expected<Mirror::FoundBlob, Problem>> Mirror::of_another_repository(const oci::Digest& digest) {
  const auto known = repositories_.find_blob_anywhere(digest);
  if (!known) return std::unexpected(problem_of(known.error()));
  if (!*known) return std::nullopt;
  auto found = from_store(digest);
  if (found && *found) (*found)->warning = kDisconnected;
  return found;
}

std::expected<Mirror::FoundBlob, Problem> Mirror::blob(const std::string& repository, const oci::Digest& digest,
                                                       bool head_only, const Asker& asker) {
  const auto known = [&] { return repositories_.find_blob(repository, digest); };
  const Key key = fmt::format("{}@{}", repository, digest.text());
  const auto here = known();
  if (!here) return std::unexpected(problem_of(here.error()));
  if (*here)
    if (auto found = from_store(digest)) return *std::move(found);
  const auto place = std::make_shared<Turn>(waiting_, most_waiting_);
  if (!*place) return too_many();
  reap(false);
  if (auto follower = running(key)) return following(std::move(follower), asker, place);
  auto guard = one_at_a_time(key);
  if (auto follower = running(key)) {
    guard.reset();
    return following(std::move(follower), asker, place);
  }
  if (offline()) {
    if (const auto taken = take_images(repository); !taken) return std::unexpected(problem_of(taken.error()));
  }
  const auto again = known();
  if (!again) return std::unexpected(problem_of(again.error()));
  if (*again)
    if (auto found = from_store(digest)) return *std::move(found);
  if (offline()) {
    if (auto found = of_another_repository(digest)) return *std::move(found);
    return not_here(ProblemCode::kBlobUnknown, "such blob");
  }
  if (rests(blobs_)) return std::unexpected(left_alone(blobs_));
  return ask_for_blob(repository, digest, head_only, asker, place);
}

std::expected<Mirror::FoundBlob, Problem> Mirror::ask_for_blob(const std::string& repository, const oci::Digest& digest,
                                                               bool head_only, const Asker& asker,
                                                               std::shared_ptr<void> place) {
  const Turn turn(questions_, kMostQuestions);
  if (!turn) return too_many();
  const auto from = remote(repository, asker);
  if (!from) return std::unexpected(problem(from.error(), ProblemCode::kBlobUnknown));
  // Also the proof that whoever we are may read it there, before bytes that a builder has are given out.
  const auto there = from->blob_size(digest, asker.cancel());
  if (!there) {
    note(there.error(), blobs_);
    return std::unexpected(problem(there.error(), ProblemCode::kBlobUnknown));
  }
  // No byte would follow that could show it to be wrong.
  if (there->size == 0 && !is_of_nothing(digest)) {
    log_(fmt::format("upstream: {} says that {} of {} is empty", upstream_.name, digest.text(), printable(repository)));
    return std::unexpected(
        Problem{502, ProblemCode::kBlobUnknown, fmt::format("{} says that the blob is empty", upstream_.name)});
  }
  if (head_only && there->word == registry::Word::kFirm)
    if (const auto linked = link_if_here(repository, digest, there->size); !linked)
      log_(printable(linked.error().message(), 500));
  if (head_only) return FoundBlob{there->size, {}, warning_of(there->word)};
  auto follower = begin_fetch(repository, digest, *there, *from);
  if (!follower)
    return std::unexpected(
        Problem{503, ProblemCode::kTooManyRequests, "too many downloads from the upstream at the same time", {}, 5});
  return following(std::move(follower), asker, std::move(place));
}

/// A client that has a shared layer already only asks whether it is there: so the upstream has shown it, and may be
/// away when the next client wants the bytes.
Status Mirror::link_if_here(const std::string& repository, const oci::Digest& digest, std::int64_t size) {
  const store::Lease lease = TRY(store_.lease("mirror"));
  if (!TRY(repositories_.find_blob_anywhere(digest))) return {};  // it never came from there: it will have to
  const auto known = TRY(store_.acquire_blob(lease, digest));
  return known && known->size == size ? repositories_.link_blob(repository, digest) : Status();
}

/// `place` is kept until the body has gone out.
std::expected<Mirror::FoundBlob, Problem> Mirror::following(std::shared_ptr<Fetch::Follower> follower,
                                                            const Asker& asker, std::shared_ptr<void> place) {
  const Cancel cancel = asker.cancel();
  // A full disk is told by the status, not by a body that breaks off.
  if (const auto room = follower->fetch().wait_for_room(cancel); !room)
    return std::unexpected(problem(room.error(), ProblemCode::kBlobUnknown));
  const std::int64_t size = follower->fetch().size();
  auto warning = warning_of(follower->fetch().word());
  return FoundBlob{size,
                   [follower = std::move(follower), place = std::move(place), cancel](
                       httpd::Answer& answer, std::int64_t offset, std::int64_t length) {
                     return follower->fetch().send(answer, offset, length, cancel);
                   },
                   std::move(warning)};
}

std::shared_ptr<Fetch::Follower> Mirror::running(const Key& key) {
  const auto list = running_.lock();
  for (const Running& one : *list) {
    if (one.key != key) continue;
    if (auto follower = Fetch::follow(one.fetch)) return follower;
  }
  return nullptr;
}

std::shared_ptr<Fetch::Follower> Mirror::begin_fetch(const std::string& repository, const oci::Digest& digest,
                                                     const registry::Sized& there, registry::Repository from) {
  auto running = running_.lock();
  if (std::ranges::count_if(*running, [](const Running& one) { return !one.fetch->over(); }) >= kMostFetches)
    return nullptr;
  auto fetch = std::make_shared<Fetch>(digest, there, ending_.cancel());
  auto follower = Fetch::follow(fetch);
  std::thread thread([this, fetch, repository, from = std::move(from)] {
    fetch->run(store_, repositories_, repository, from);
    if (const auto error = fetch->failure()) note(*error, blobs_);
  });
  running->push_back({fmt::format("{}@{}", repository, digest.text()), fetch, std::move(thread)});
  return follower;
}

/// Joins the threads of downloads that are over, and gives up those that nobody follows.
void Mirror::reap(bool all) {
  std::list<Running> ended;
  {
    auto running = running_.lock();
    for (auto at = running->begin(); at != running->end();) {
      const auto next = std::next(at);
      at->fetch->give_up_if_abandoned();
      if (all || at->fetch->over()) ended.splice(ended.end(), *running, at);
      at = next;
    }
  }
  for (Running& one : ended) one.thread.join();
}

}  // namespace slipway::distribution
