// Exporter: what a build was asked to leave behind: images in as many formats as the outputs need, files, names in
// the store, pushes; in this order, so that nothing is named or pushed when a file could not be written.
#pragma once

#include <vector>

#include "build/export.hpp"

namespace slipway::build {

class CacheExport;

/// What is wrong with the outputs whatever the build gives; kUsage. Called before any step runs.
[[nodiscard]] Status check_outputs(const Request& request);

class Exporter {
 public:
  /// `index`: the image is an index of `results`. `vertex` is what progress is told of. Everything outlives the object.
  Exporter(const Request& request, const Tools& tools, const Workshop& shop, const std::vector<PlatformResult>& results,
           bool index, progress::VertexId vertex, const CacheExport& travelling, const Cancel& cancel)
      : request_(request),
        tools_(tools),
        shop_(shop),
        results_(results),
        index_(index),
        vertex_(vertex),
        travelling_(travelling),
        cancel_(cancel) {}

  /// Gives the image that the names, --iidfile and --metadata-file tell of: that of the first output that is an image,
  /// else the usual one, which is kept in the store unless an output is kCacheOnly.
  [[nodiscard]] Result<Exported> run();
  /// What the image was called, in the store or in registries.
  [[nodiscard]] const std::vector<std::string>& names() const { return called_; }

 private:
  /// The image in a format; written once.
  [[nodiscard]] Result<Exported> image(const ImageFormat& format);
  /// The cache records that go into the config of a platform's image.
  [[nodiscard]] Result<std::string> inline_records(const PlatformResult& result) const;
  /// Makes the bytes of a layer be here, for a push.
  [[nodiscard]] Status bring(const oci::Descriptor& blob, const Cancel& cancel) const;
  /// Notes what has come to be here of what was written (note_layers()).
  [[nodiscard]] Status settle() const;
  [[nodiscard]] Status keep(const Output& output);
  [[nodiscard]] Status push(const Output& output);
  [[nodiscard]] Result<std::vector<oci::Reference>> stored_names(const Output& output, const Exported& image) const;
  void say(const std::string& what) const;
  void call(std::string name);

  const Request& request_;
  const Tools& tools_;
  const Workshop& shop_;
  const std::vector<PlatformResult>& results_;  ///< one, or those of an index
  bool index_;
  const progress::VertexId vertex_;
  const CacheExport& travelling_;
  const Cancel& cancel_;
  std::vector<std::pair<ImageFormat, Exported>> images_;
  std::vector<std::pair<const PlatformResult*, oci::Descriptor>> manifests_;  ///< of all that were written
  std::vector<oci::Reference> kept_;  ///< names that are set: the first output that has one wins
  std::vector<std::string> called_;
};

}  // namespace slipway::build
