#include "build/reason.hpp"

#include <map>
#include <tuple>

#include "base/text.hpp"

namespace slipway::build {
namespace {

/// ARG and ENV of one name and value are the same to a command. Of a base or a parent there is one, whatever its name.
using Identity = std::tuple<int, std::string, std::string>;
Identity identity_of(const Ingredient& each) {
  const What what = each.what == What::kVariable ? What::kArgument : each.what;
  const bool named = what != What::kBase && what != What::kStep && what != What::kFiles;
  return {static_cast<int>(what), named ? each.name : std::string(), each.via};
}

using Found = std::multimap<Identity, const Ingredient*>;
Found by_identity(const std::vector<Ingredient>& ingredients) {
  Found found;
  for (const auto& each : ingredients) found.emplace(identity_of(each), &each);
  return found;
}
const Ingredient* take(Found& found, const Ingredient& like) {
  const auto [at, end] = found.equal_range(identity_of(like));  // in the order of insertion
  if (at == end) return nullptr;
  const Ingredient* each = at->second;
  found.erase(at);
  return each;
}

struct Difference {
  const Ingredient* before = nullptr;
  const Ingredient* now = nullptr;
  [[nodiscard]] const Ingredient& any() const { return now != nullptr ? *now : *before; }
};

/// What a stage is built upon, or what a mount shows of it, changed from an image to a step or back.
bool stands_on(What what) { return what == What::kBase || what == What::kStep; }

/// What comes first is told. That the files of another stage are new may only mean that nothing was known of them.
What rank(const Difference& difference) {
  const Ingredient& each = difference.any();
  return difference.before == nullptr && each.what == What::kFiles && !each.from.empty() ? What::kOther : each.what;
}

std::optional<Difference> find_first(const Comparison& steps) {
  Found old = by_identity(steps.before);
  std::optional<Difference> first;
  const auto consider = [&](Difference difference) {
    if (!first || rank(difference) < rank(*first)) first = difference;
  };
  for (const auto& each : steps.now) {
    const Ingredient* before = take(old, each);
    if (before == nullptr || before->value != each.value) consider({before, &each});
  }
  for (const auto& each : steps.before) {
    const auto [begin, end] = old.equal_range(identity_of(each));
    for (auto at = begin; at != end; ++at)
      if (at->second == &each && !stands_on(each.what)) consider({&each, nullptr});
  }
  return first;
}

std::string shown(const std::string& foreign) { return printable(foreign, 200); }

/// A step within a sentence about another.
std::string shown_step(const std::string& foreign) { return printable(foreign, 80); }

/// "ARG X changed", "ARG X was added", …
std::string happened(const Difference& difference, const std::string& subject) {
  if (difference.before == nullptr) return subject + " was added";
  if (difference.now == nullptr) return subject + " was removed";
  return subject + " changed";
}

std::string file_text(const FileChange& change, const std::string& path) {
  using Kind = FileChange::Kind;
  const std::string subject = (change.directory ? "directory " : "file ") + path;
  std::string text;
  switch (change.kind) {
    case Kind::kContent:
      text = (change.directory ? subject : path) + " changed";
      break;
    case Kind::kAdded:
      text = subject + " was added";
      break;
    case Kind::kRemoved:
      text = subject + " was removed";
      break;
    case Kind::kMode:
      text = "the mode of " + subject + " changed";
      break;
    case Kind::kOwner:
      text = "the owner of " + subject + " changed";
      break;
    case Kind::kType:
      text = subject + " is of another type now";
      break;
  }
  if (change.others > 0) text += fmt::format(", and {} more", change.others);
  return text;
}

/// Everything but files and what the step stands on.
StepReason plain(const Difference& difference, bool same_text) {
  const Ingredient& each = difference.any();
  const std::string name = shown(each.name);
  const std::string own = same_text ? "" : "instruction text changed";
  const auto reason = [&](const char* kind, std::string text) {
    return StepReason{.kind = kind, .name = each.name, .text = std::move(text), .mount = {}, .follows = {}};
  };
  switch (each.what) {
    case What::kShell:
      return reason("shell", "SHELL changed");
    case What::kCommand:
      return reason("instruction", "instruction text changed");
    case What::kArgument:
      return reason("arg", happened(difference, "ARG " + name));
    case What::kVariable:
      return reason("env", happened(difference, "ENV " + name));
    case What::kWorkdir:
      return reason("workdir", "WORKDIR changed");
    case What::kUser:
      return reason("user", "USER changed");
    case What::kNetwork:
      return reason("network", "its network mode changed");
    case What::kHost:
      return reason("add-host", happened(difference, "--add-host " + name));
    case What::kUlimit:
      return reason("ulimit", happened(difference, "--ulimit " + name));
    case What::kShm:
      return reason("shm-size", "--shm-size changed");
    case What::kMount:
      return reason("mount", happened(difference, "the mount " + name));
    case What::kCacheId:
      return reason("mount", "the id of the mount " + name + " changed");
    case What::kDestination:
      return own.empty() ? reason("destination", "its destination changed") : reason("instruction", own);
    case What::kSources:
      return own.empty() ? reason("sources", "the sources it names changed") : reason("instruction", own);
    case What::kOwner:
      return reason("chown", "its --chown changed");
    case What::kMode:
      return reason("chmod", "its --chmod changed");
    case What::kFlag:
      return reason("flag", happened(difference, "its --" + name));
    case What::kRemote:
      return reason("remote", "what it fetches changed");
    case What::kEpoch:
      return reason("source-date-epoch", happened(difference, "SOURCE_DATE_EPOCH"));
    case What::kFiles:
    case What::kBase:
    case What::kStep:
    case What::kOther:
      break;
  }
  return reason("other", "something that it is made from changed");
}

StepReason of_files(const Difference& difference, const Comparison& steps) {
  const Ingredient& each = difference.any();
  StepReason reason{.kind = "file", .name = {}, .text = "files that it takes changed", .mount = {}, .follows = {}};
  if (!each.from.empty() && difference.now != nullptr) reason.follows = steps.cause(each);
  const bool known = difference.before != nullptr && difference.now != nullptr && difference.before->listing &&
                     difference.now->listing;
  const auto change = known ? steps.file(*difference.before->listing, *difference.now->listing) : std::nullopt;
  if (change) {
    reason.name = each.from.empty() ? change->path : "/" + change->path;
    reason.text = file_text(*change, shown(reason.name));
  }
  if (!each.from.empty()) reason.text += fmt::format(" (of {})", shown_step(each.from));
  return reason;
}

StepReason of_base(const Difference& difference, const Comparison& steps) {
  const Ingredient& each = difference.any();
  StepReason reason{.kind = "base", .name = each.name, .text = {}, .mount = {}, .follows = {}};
  if (difference.now != nullptr) reason.follows = steps.cause(each);
  const bool renamed = difference.before != nullptr && difference.before->name != each.name;
  reason.text = renamed || difference.before == nullptr
                    ? fmt::format("base image is {} now{}", shown(each.name),
                                  renamed ? ", was " + shown(difference.before->name) : "")
                    : fmt::format("base image {} changed", shown(each.name));
  return reason;
}

StepReason of_step(const Difference& difference, const Comparison& steps) {
  const Ingredient& each = difference.any();
  StepReason reason{.kind = "step", .name = each.name, .text = {}, .mount = {}, .follows = steps.cause(each)};
  reason.text = reason.follows.empty() || reason.follows == each.name
                    ? fmt::format("the step before it changed ({})", shown_step(each.name))
                    : fmt::format("follows from {}", shown_step(reason.follows));
  return reason;
}

bool same_order(const Comparison& steps) {
  return std::ranges::equal(steps.before, steps.now, {}, identity_of, identity_of);
}

}  // namespace

std::optional<StepReason> first_difference(const Comparison& steps) {
  const auto difference = find_first(steps);
  if (!difference) {
    if (same_order(steps)) return std::nullopt;
    return StepReason{
        .kind = "order", .name = {}, .text = "the order of what it is made from changed", .mount = {}, .follows = {}};
  }
  const Ingredient& each = difference->any();
  StepReason reason = each.what == What::kFiles  ? of_files(*difference, steps)
                      : each.what == What::kBase ? of_base(*difference, steps)
                      : each.what == What::kStep ? of_step(*difference, steps)
                                                 : plain(*difference, steps.same_text);
  if (!each.via.empty()) {
    reason.mount = each.via;
    reason.text = fmt::format("the mount {} changed: {}", shown(each.via), reason.text);
  }
  return reason;
}

int in_common(const std::vector<Ingredient>& before, const std::vector<Ingredient>& now) {
  Found old = by_identity(before);
  std::size_t equal = 0, paired = 0;
  for (const auto& each : now) {
    const Ingredient* found = take(old, each);
    if (found == nullptr) continue;
    ++paired;
    if (found->value == each.value) ++equal;
  }
  const std::size_t all = before.size() + now.size() - paired;
  return all == 0 ? 1000 : static_cast<int>(equal * 1000 / all);
}

}  // namespace slipway::build
