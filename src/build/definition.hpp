// Definition: what decides the result of a step but its inputs: one digest for the solver, and the parts it is made of
// for who asks why the step ran. Both come from the same calls, so no key can change without a part that tells.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "oci/digest.hpp"
#include "solver/solver.hpp"

namespace slipway::image {
struct Resolved;
}

namespace slipway::build {

struct BuildkitAsk;
struct BuildkitStep;

/// What a part of a step is to its author. In the order in which differences are told; the numbers are stored.
enum class What : unsigned char {
  kShell = 1,
  kCommand = 2,   ///< the instruction's own text: a command, a heredoc
  kArgument = 3,  ///< by name
  kVariable = 4,  ///< ENV, by name
  kWorkdir = 5,
  kUser = 6,
  kNetwork = 7,
  kHost = 8,    ///< --add-host, by name
  kUlimit = 9,  ///< by name
  kShm = 10,
  kMount = 11,    ///< what a RUN --mount says, by target
  kCacheId = 12,  ///< which cache it names, by target
  kDestination = 13,
  kOwner = 14,    ///< --chown
  kMode = 15,     ///< --chmod
  kFlag = 16,     ///< any other flag, by name
  kSources = 17,  ///< what a COPY names; not in its key, which has what it finds there
  kRemote = 18,   ///< what ADD fetched
  kFiles = 19,    ///< content: `listing` may tell more
  kEpoch = 20,    ///< SOURCE_DATE_EPOCH
  kBase = 21,     ///< the layers of an image, by name
  kStep = 22,     ///< a step before this one, by its shown name
  kOther = 23,
};

/// A part of a step, without its value: a digest tells whether it is the same.
struct Ingredient {
  static constexpr std::size_t kValueBytes = 16;
  What what = What::kOther;
  std::string name;                    ///< foreign
  std::string value;                   ///< the first bytes of a sha256
  std::string via;                     ///< the mount it comes through: "/src (bind)"; mostly empty
  std::string from;                    ///< kFiles of another stage: its step as shown
  std::optional<oci::Digest> listing;  ///< kFiles: the digest of the content, under which a listing may be kept
};

/// Digest of labelled fields; no two lists of fields give the same bytes.
class Definition {
 public:
  enum class Keep : unsigned char { kKey, kParts };
  explicit Definition(std::string_view kind, Keep keep = Keep::kKey) : keep_(keep) { add("op", kind); }

  Definition& add(std::string_view label, std::string_view value);
  Definition& add(std::string_view label, const std::vector<std::string>& values);
  /// What is added from here on, up to the next call, is this part.
  Definition& part(What what, std::string_view name = "");
  /// What is added from here on belongs to no part: counts, and what never differs alone.
  Definition& no_part();
  /// The content that the next field is the digest of.
  Definition& files(const oci::Digest& content);
  /// A part that is not in the key.
  Definition& remark(What what, const std::vector<std::string>& values);

  [[nodiscard]] solver::Key finish() { return hash_.finish(); }
  /// With Keep::kParts: the parts, in the order in which they were begun.
  [[nodiscard]] std::vector<Ingredient> parts();

 private:
  void close();
  oci::Hasher hash_;
  Keep keep_;
  std::vector<Ingredient> parts_;
  std::string open_;  ///< the fields of the part at hand
  bool in_part_ = false;
};

/// What is stored of a value.
[[nodiscard]] std::string value_of(const oci::Digest& digest);

/// An op that can say what decides its result.
class DescribedOp : public solver::Op {
 public:
  /// The digest of what describe() adds.
  Result<solver::Key> definition(const Cancel& cancel) override;
  /// What definition() is made of; it has been called before.
  [[nodiscard]] Result<std::vector<Ingredient>> ingredients(const Cancel& cancel);
  /// "exec", "copy", …: what it is compared with.
  [[nodiscard]] virtual std::string_view kind() const = 0;
  /// How an input reaches it, when that is a mount: "/src (bind)".
  [[nodiscard]] virtual std::string via(std::size_t) const { return {}; }
  /// The image whose layers it is; null of everything else.
  [[nodiscard]] virtual const image::Resolved* image() const { return nullptr; }
  /// How BuildKit keys it (buildkit_step.hpp); nothing where that can not be said. definition() has been called before.
  [[nodiscard]] virtual Result<std::optional<BuildkitStep>> buildkit_step(const BuildkitAsk& ask, const Cancel& cancel);
  /// The packed listing (listing.hpp) of a content that this op gave; empty when it has none.
  [[nodiscard]] virtual std::string listing(const oci::Digest&, const Cancel&) { return {}; }

 protected:
  /// Adds everything to `definition`. Called more than once, with the same outcome.
  [[nodiscard]] virtual Status describe(Definition& definition, const Cancel& cancel) = 0;
};

}  // namespace slipway::build
