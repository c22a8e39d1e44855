// ExecutorResults: what kaniko leaves besides the image: digest files, an OCI layout, the list of Google's builder.
#pragma once

#include <string>
#include <vector>

#include "cli/executor/options.hpp"
#include "http/client.hpp"
#include "image/image.hpp"

namespace slipway::cli {

/// --digest-file, --image-name-with-digest-file and --image-name-tag-with-digest-file: files (their directories are
/// made), or https:// addresses that get a PUT.
[[nodiscard]] Status write_digest_files(const ExecutorOptions& options, const std::vector<oci::Reference>& destinations,
                                        const oci::Digest& digest, const http::ClientOptions& http,
                                        const Cancel& cancel);

/// --oci-layout-path: a layout of this image alone, without a name, as kaniko writes it.
[[nodiscard]] Status write_layout(store::Store& store, const oci::Descriptor& manifest, const std::string& directory,
                                  const Cancel& cancel);

/// "images" in the directory that BUILDER_OUTPUT names: a JSON line for each name that was pushed.
[[nodiscard]] Status write_builder_output(const std::string& directory, const std::vector<oci::Reference>& destinations,
                                          const oci::Digest& digest);

}  // namespace slipway::cli
