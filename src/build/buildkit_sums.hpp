// What BuildKit's content keys are made of, over a tree of ours: its tar-sums of files and directories
// (cache/contenthash). Asked only where a cache travels: unlike our own sums, small files are read each time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "build/file_sums.hpp"
#include "build/tree.hpp"
#include "oci/digest.hpp"
#include "store/store.hpp"

namespace slipway::build {

enum class TreeOf : unsigned char { kContext, kStage };

/// What spares a context's large files from being read again: they are remembered by their head and our sum of them.
struct KnownSums {
  store::Store* store = nullptr;
  const FileSums* sums = nullptr;
};

/// The content that a COPY of `paths` takes (absolute, as BuildKit has them; wildcards as in Go's filepath.Match).
/// Of a context everything belongs to root. Nothing when one of the paths is not there, or is the root of a stage.
[[nodiscard]] Result<std::optional<oci::Digest>> buildkit_content(const Tree& tree, TreeOf of,
                                                                  const std::vector<std::string>& paths,
                                                                  const KnownSums& known, const Cancel& cancel);

}  // namespace slipway::build
