// StepChain: what led to a step, in the words of kaniko's cache keys (pkg/executor/composite_cache.go of kaniko 1.24),
// so that a cache repository that kaniko filled is of use. A key is the sha256 of texts joined by "-": the digest of
// the base image's manifest, then of each instruction: for RUN "|N" and its N variables as "K=V", sorted; the
// instruction as written; and a digest for each file or directory that COPY and ADD take.
//
// kaniko's digests of files know owner, mode and content but no names, and no heredocs are in its texts: two different
// steps may have one key. Whoever keeps entries under these keys has to tell them apart otherwise (step_cache.hpp).
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "build/tree.hpp"

namespace slipway::build {

/// A position in a stage; a cheap copy. Positions of one stage share what they know.
class StepChain {
 public:
  /// Digests of the files of an instruction; nothing when they can not be told.
  using Files = std::function<Result<std::vector<std::string>>(const Cancel&)>;

  StepChain() = default;  ///< leads to nothing: no key
  /// A stage upon an image, or upon another stage.
  static StepChain begin(std::string base);
  static StepChain begin(const StepChain& stage);
  /// Adds an instruction, at the end of its stage.
  void add(std::vector<std::string> words, Files files = {});
  /// An instruction whose files are told by tell() when they are there.
  void add_open(std::vector<std::string> words);
  void tell(std::vector<std::string> files) const;
  /// The key, as 64 hexadecimal digits; nothing while files are not known. Reads files, once.
  [[nodiscard]] Result<std::optional<std::string>> key(const Cancel& cancel) const;

  /// A miss ends the asking for all that follows in the stage, as with kaniko.
  void missed() const;
  [[nodiscard]] bool has_missed() const;
  explicit operator bool() const { return stage_ != nullptr; }
  friend bool operator==(const StepChain&, const StepChain&) = default;

 private:
  struct Part {
    std::vector<std::string> words;
    Files files;
    bool open = false;
    std::optional<std::vector<std::string>> known;
  };
  struct Stage;
  [[nodiscard]] Result<bool> append(std::string& text, const Cancel& cancel) const;
  std::shared_ptr<Stage> stage_;
  std::size_t length_ = 0;
};

/// kaniko's digests of what COPY patterns find in `tree`, in its order.
[[nodiscard]] Result<std::vector<std::string>> kaniko_file_keys(const Tree& tree,
                                                                const std::vector<std::string>& patterns,
                                                                const Cancel& cancel);

/// Go's FileMode.String(): "-rw-r--r--", "drwxr-xr-x", "Lrwxrwxrwx".
[[nodiscard]] std::string go_mode_text(unsigned mode);

}  // namespace slipway::build
