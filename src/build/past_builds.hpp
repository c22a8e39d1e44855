// PastBuilds: the steps of the builds that were noted in this scope, and which of them a step is to be compared with.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "build/build_account.hpp"
#include "build/listing.hpp"
#include "store/store.hpp"

namespace slipway::build {

/// What is known of a step before it ran.
struct Sought {
  std::string_view project, stage, kind, text;  ///< as in BuildAccount and StepAccount
  std::uint64_t place = 0;
  oci::Digest key;
  const std::vector<Ingredient>& ingredients;
};

class PastBuilds {
 public:
  PastBuilds(const store::Store& store, std::string scope) : store_(store), scope_(std::move(scope)) {}
  /// Reads the builds, the newest first, up to 20,000 steps; what is garbled is left out.
  [[nodiscard]] Status load();

  /// The step of the nearest older record: one with the same key; else of those of the same kind with the same text or
  /// in the same place of this project's Dockerfile, the one that agrees in most (project before text before stage
  /// before place), then the one with most ingredients in common, then the newest. Another project's counts only when
  /// most of that build's steps are in `texts`: the same checked out elsewhere. `texts`: of all steps of the present
  /// build, as stage + text: an old step that is among them under its own text was not this one before.
  [[nodiscard]] const StepAccount* nearest(const Sought& sought, const std::set<std::string>& texts);
  /// The newest step with this key.
  [[nodiscard]] const StepAccount* with_key(const oci::Digest& key) const;

  /// What a step was made from; empty when that is not known.
  [[nodiscard]] const std::vector<Ingredient>& ingredients(const oci::Digest& key);
  /// The files of a content; nothing when they were not kept.
  [[nodiscard]] std::optional<std::vector<ListedFile>> files(const oci::Digest& content) const;

 private:
  /// Those that agree in most with it, the newest first.
  [[nodiscard]] std::vector<const StepAccount*> agreeing(const Sought& sought, const std::set<std::string>& texts);

  const store::Store& store_;
  std::string scope_;
  std::vector<BuildAccount> builds_;  ///< newest first
  std::vector<bool> alike_;  ///< by build: most of it is in the file that is built now; made once, with the first texts
  std::map<oci::Digest, const StepAccount*> newest_;  ///< step by key; they lie in builds_
  std::map<oci::Digest, std::vector<Ingredient>> ingredients_;
};

/// A member of `texts`.
[[nodiscard]] std::string text_in_stage(std::string_view stage, std::string_view text);

}  // namespace slipway::build
