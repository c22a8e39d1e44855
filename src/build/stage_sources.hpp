// Stage sources: what stages stand on or copy from that is no stage: images, named contexts, nothing. Each is resolved
// once per platform and opened once per build, and shared by the plans of all platforms.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "build/frontend.hpp"
#include "build/target_platforms.hpp"

namespace slipway::build {

using ResolvedImage = std::shared_ptr<const image::Resolved>;

class StageSources {
 public:
  /// All arguments outlive the object. `with_platform`: names of steps tell which platform they are for.
  StageSources(const dockerfile::File& file, const Request& request, const OpContext& context, VertexIds& ids,
               Plan& plan, bool with_platform, const Cancel& cancel)
      : file_(file),
        request_(request),
        context_(context),
        ids_(ids),
        plan_(plan),
        with_platform_(with_platform),
        cancel_(cancel) {}

  /// "linux/arm64 " before what names a step, or nothing.
  [[nodiscard]] std::string prefix(const oci::Platform& platform) const {
    return with_platform_ ? platform.full_text() + " " : std::string();
  }
  [[nodiscard]] Result<ResolvedImage> resolve(const std::string& name, const oci::Platform& platform,
                                              const dockerfile::Source& source);
  /// The vertex of FROM: shown as `name`.
  [[nodiscard]] std::size_t base(const ResolvedImage& image, std::string name, const dockerfile::Source& source);
  /// The vertex of an image that is only copied from.
  [[nodiscard]] std::size_t copied_from(const ResolvedImage& image, const dockerfile::Source& source);
  [[nodiscard]] std::size_t scratch();

  /// Whether the context is an image, with a config of its own.
  [[nodiscard]] static bool is_image(const NamedContext& context) {
    return context.kind == NamedContext::Kind::kLayout ||
           (context.kind == NamedContext::Kind::kImage && context.value != "scratch");
  }
  [[nodiscard]] Result<ResolvedImage> image_of(const NamedContext& context, const oci::Platform& platform,
                                               const dockerfile::Source& source);
  [[nodiscard]] Result<std::size_t> vertex_of(const NamedContext& context, const oci::Platform& platform,
                                              const dockerfile::Source& source);
  [[nodiscard]] Result<std::shared_ptr<Context>> folder_of(const NamedContext& context);

 private:
  using Key = std::pair<std::string, std::string>;  // a name and a platform
  Result<ResolvedImage> ask(const std::string& name, const oci::Platform& platform);
  Result<std::size_t> folder_or_remote(const NamedContext& context, const dockerfile::Source& source);

  const dockerfile::File& file_;
  const Request& request_;
  const OpContext& context_;
  VertexIds& ids_;
  Plan& plan_;
  bool with_platform_;
  const Cancel& cancel_;
  std::optional<std::size_t> scratch_;
  std::map<Key, ResolvedImage> images_;
  std::map<Key, ResolvedImage> layouts_;
  std::map<std::string, std::size_t> copied_from_;  // by identity_of()
  std::map<Key, std::size_t> context_vertices_;
  std::map<std::string, std::shared_ptr<Context>> folders_;
};

}  // namespace slipway::build
