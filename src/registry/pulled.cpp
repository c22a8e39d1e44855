// What a Repository pulls: from the mirrors of its registry one after the other, then from the registry.
#include <algorithm>

#include "base/text.hpp"
#include "base/time.hpp"
#include "registry/notices.hpp"
#include "registry/repository.hpp"
#include "registry/via.hpp"

namespace slipway::registry {
namespace {

/// A mirror that did not answer, or has too much to do, is left alone for so long.
constexpr std::int64_t kAwayMs = 60'000;

/// Tells (once in a while) that a mirror is passed over, and why.
void note_failure(const Repository::State::Source& source, const Error& error,
                  const std::shared_ptr<Notices>& notices) {
  if (error.code() == Code::kNotFound) return;  // a mirror need not have everything
  const bool away = error.code() == Code::kUnavailable || error.code() == Code::kDeadlineExceeded;
  if (away) *source.mirror->away_until.lock() = monotonic_ms() + kAwayMs;
  const std::string line =
      fmt::format("the mirror {} is passed over{}: {}", printable(source.mirror->host->registry(), 300),
                  away ? fmt::format(" for {} s", kAwayMs / 1000) : "", error.what());
  auto lines = notices->lines.lock();
  if (std::find(lines->begin(), lines->end(), line) == lines->end()) lines->push_back(line);
}

/// `ask` of each mirror and then of the registry, until one succeeds. `ours`: a failure that is not the mirror's.
template <class Answer>
Answer pulled(const Repository::State& state, const Cancel& cancel,
              const std::function<Answer(const Repository::State&, bool is_mirror)>& ask,
              const std::function<bool()>& ours = {}) {
  std::optional<Answer> last;
  std::string before;  // what the last mirror that was asked said
  for (const auto& source : state.mirrors) {
    if (monotonic_ms() < *source.mirror->away_until.lock() && state.origin_fallback) continue;
    last = ask(*source.state, true);
    if (*last || cancel.fired() || (ours && ours())) return *std::move(last);
    const Error& error = last->error();
    before = fmt::format("after the mirror {} {}", printable(source.mirror->host->registry(), 300),
                         error.code() == Code::kNotFound ? "had it not" : "was passed over: " + error.what());
    note_failure(source, last->error(), state.notices);
  }
  if (last && !state.origin_fallback) return *std::move(last);
  auto answer = ask(state, false);
  // Behind an air gap the registry is never there: what the mirror said is the news.
  if (!answer && !before.empty() && answer.error().code() != Code::kNotFound)
    return std::unexpected(std::move(answer).error().add_context(std::move(before)));
  return answer;
}

/// A page that somebody puts before the internet is no manifest.
Status check_document(const Document& document, const std::string& registry) {
  const bool index = oci::media_type::is_index(document.media_type);
  if (!index &&
      oci::Manifest::parse(document.bytes,
                           oci::media_type::is_manifest(document.media_type) ? document.media_type : std::string()))
    return {};
  if (oci::Index::parse(document.bytes, index ? document.media_type : std::string())) return {};
  return fail(Code::kDataLoss, "what {} serves as a manifest is none", registry);
}

}  // namespace

Repository::Repository(std::shared_ptr<State> state) : state_(std::move(state)) {}

Trust Repository::trust() const { return state_->trust; }

bool Repository::falls_back() const { return !state_->mirrors.empty() && state_->origin_fallback; }

Repository Repository::without_mirrors() const {
  auto origin = std::make_shared<State>(*state_);
  origin->mirrors.clear();
  return Repository(std::move(origin));
}

Repository Repository::State::by_way_of(const Repository& repository, std::string via) {
  auto state = std::make_shared<State>(*repository.state_);
  state->via = std::move(via);
  return Repository(std::move(state));
}

Repository by_way_of(const Repository& repository, std::string via) {
  return Repository::State::by_way_of(repository, std::move(via));
}

Result<Document> Repository::manifest(const oci::Reference& reference, const Cancel& cancel) const {
  return pulled<Result<Document>>(*state_, cancel, [&](const State& at, bool is_mirror) -> Result<Document> {
    auto document = TRY(at.manifest(reference, cancel));
    if (is_mirror) TRY(check_document(document, at.host->registry()));
    return document;
  });
}

Result<std::optional<Named>> Repository::look_up(const oci::Reference& reference, const Cancel& cancel) const {
  return pulled<Result<std::optional<Named>>>(*state_, cancel,
                                              [&](const State& at, bool) { return at.look_up(reference, cancel); });
}

Result<Word> Repository::blob(const oci::Descriptor& descriptor, const layer::Target& sink,
                              const Cancel& cancel) const {
  Word word = Word::kFirm;
  std::int64_t done = 0;  // the next one goes on where the one before it stopped
  bool sink_failed = false;
  const layer::Target counted = [&](std::string_view bytes) -> Status {
    auto status = sink(bytes);
    sink_failed = !status;
    if (status) done += std::ssize(bytes);
    return status;
  };
  TRY(pulled<Status>(
      *state_, cancel,
      [&](const State& at, bool) -> Status {
        if (done > 0 && done == descriptor.size) return {};  // all came; whether it is right is judged where it went
        if (done == 0) word = Word::kFirm;
        return at.download(descriptor, done, counted, word, cancel);
      },
      [&] { return sink_failed; }));
  return word;
}

Result<bool> Repository::shows_blob(const oci::Digest& digest, const Cancel& cancel) const {
  const auto shown = pulled<Status>(*state_, cancel, [&](const State& at, bool) -> Status {
    const auto reply = TRY(at.look_at(digest, cancel));
    if (reply && word_of(reply->headers) == Word::kFirm) return {};
    return fail(Code::kNotFound, "{} does not show the {}", at.host->registry(), at.blob_name(digest));
  });
  TRY(cancel.check());
  return shown.has_value();
}

}  // namespace slipway::registry
