#include "build/exporter.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "build/cache_export.hpp"
#include "build/recompress.hpp"
#include "build/target_platforms.hpp"
#include "image/proofs.hpp"

namespace slipway::build {
namespace {

using Type = Output::Type;

bool is_image(const Output& output) {
  return output.type == Type::kImage || output.type == Type::kOci || output.type == Type::kDocker;
}

bool any_of_type(const Request& request, Type type) {
  return std::any_of(request.outputs.begin(), request.outputs.end(),
                     [&](const Output& output) { return output.type == type; });
}

std::string repository(const oci::Reference& name) { return name.registry() + "/" + name.repository(); }

/// The name with the digest in place of a tag: "host/app@sha256:…".
Result<oci::Reference> with_digest_only(const std::string& name, const oci::Digest& digest) {
  return oci::Reference::parse(name + "@" + digest.text());
}

}  // namespace

Status check_outputs(const Request& request) {
  const TargetPlatforms platforms = TRY(target_platforms(request));
  const auto check = [&](const std::vector<Annotation>& annotations) -> Status {
    for (const auto& annotation : annotations) {
      const bool of_index =
          annotation.place == Annotation::Place::kIndex || annotation.place == Annotation::Place::kIndexDescriptor;
      if (of_index && !platforms.index)
        return fail(Code::kUsage, "the annotation {} is for an index, but an image of one platform has none",
                    quoted(annotation.key, 128));
      if (!annotation.platform || std::ranges::find(platforms.list, *annotation.platform) != platforms.list.end())
        continue;
      std::vector<std::string> texts;
      for (const auto& platform : platforms.list) texts.push_back(platform.full_text());
      return fail(Code::kUsage, "the annotation {} is for {}, but the image is built for {}",
                  quoted(annotation.key, 128), annotation.platform->text(), join(texts, ", "));
    }
    return {};
  };
  TRY(check(request.annotations));
  for (const auto& output : request.outputs) {
    TRY(check(output.format.annotations));
    if (platforms.index && output.type == Type::kDocker)
      return std::unexpected(
          Error(Code::kInvalidArgument, "docker exporter does not currently support exporting manifest lists")
              .with_hint("docker's archive holds one platform: use type=oci, or build for one platform at a time"));
  }
  return {};
}

Result<Exported> Exporter::run() {
  const auto first = std::find_if(request_.outputs.begin(), request_.outputs.end(), is_image);
  Output usual{.type = Type::kImage, .destination = ""};
  if (first != request_.outputs.end()) usual.format = first->format;
  const Exported main = TRY(image(usual.format));
  for (const auto& output : request_.outputs) {
    const Exported written = is_image(output) ? TRY(image(output.format)) : main;
    TRY(write_output(output, shop_, written, results_, index_, request_, tools_, cancel_));
  }
  if (!any_of_type(request_, Type::kImage) && !any_of_type(request_, Type::kCacheOnly)) TRY(keep(usual));
  for (const auto& output : request_.outputs)
    if (output.type == Type::kImage) TRY(keep(output));
  for (const auto& output : request_.outputs)
    if (output.push) TRY(push(output));
  if (tools_.exported) {
    for (const auto& result : results_) TRY(fetch_layers(shop_, result.stack, vertex_, cancel_));
    TRY(settle());
    TRY(tools_.exported(shop_.images, main.manifest));
  }
  TRY(settle());
  return main;
}

Status Exporter::settle() const {
  for (const auto& [result, manifest] : manifests_) TRY(note_layers(shop_, result->stack, manifest));
  return {};
}

Result<Exported> Exporter::image(const ImageFormat& format) {
  for (const auto& [known, image] : images_)
    if (known == format) return image;
  ImageFormat whole = format;
  // Those of the output are the closer ones: they come last, and the last of a key counts.
  whole.annotations.insert(whole.annotations.begin(), request_.annotations.begin(), request_.annotations.end());
  if (whole.family_of_base && !results_.empty()) whole.family = results_[0].planned.base_family;
  std::vector<Exported> of_platforms;
  for (const auto& result : results_) {
    const std::string records = TRY(inline_records(result));
    of_platforms.push_back(
        TRY(write_image(shop_, result, request_.source_date_epoch, whole, records, vertex_, cancel_)));
    manifests_.emplace_back(&result, of_platforms.back().manifest);
    say("exporting manifest " + of_platforms.back().manifest.digest.text());
    say("exporting config " + of_platforms.back().config.text());
  }
  const Exported image = index_ ? TRY(write_index(shop_, results_, of_platforms, whole)) : of_platforms[0];
  if (index_) say("exporting manifest list " + image.manifest.digest.text());
  images_.emplace_back(format, image);
  return image;
}

Result<std::vector<oci::Reference>> Exporter::stored_names(const Output& output, const Exported& image) const {
  const oci::Digest& digest = image.manifest.digest;
  std::vector<oci::Reference> names;
  const auto given = names_of(output, request_);
  for (const auto& name : given) {
    if (!output.by_digest) names.push_back(name);
    if (output.by_digest || output.name_canonical) names.push_back(TRY(with_digest_only(repository(name), digest)));
  }
  if (given.empty() && !output.dangling_prefix.empty())
    names.push_back(TRY(with_digest_only(output.dangling_prefix, digest)));
  std::erase_if(names, [&](const auto& name) { return std::find(kept_.begin(), kept_.end(), name) != kept_.end(); });
  return names;
}

Result<std::string> Exporter::inline_records(const PlatformResult& result) const {
  const bool wanted = std::ranges::any_of(request_.cache_to, [](const CacheTarget& target) { return target.in_image; });
  return wanted ? travelling_.inline_records(result.stack) : std::string();
}

Status Exporter::bring(const oci::Descriptor& blob, const Cancel& cancel) const {
  for (const auto& result : results_)
    for (const auto& layer : result.stack.layers())
      if (layer->base() && layer->facts()->blob.digest == blob.digest)
        return shop_.images.fetch_layers(*layer->base(), {blob.digest}, shop_.sink, vertex_, cancel);
  return {};
}

Status Exporter::keep(const Output& output) {
  if (!output.store) return {};
  const Exported image = TRY(this->image(output.format));
  const auto names = TRY(stored_names(output, image));
  if (names.empty() && !kept_.empty()) return {};
  TRY(shop_.store.set_names(shop_.scope, names, image.manifest.digest, image.manifest.media_type, store::Durable::kYes,
                            image::kOwnWord));
  for (const auto& name : names) {
    say("naming to " + name.canonical());
    call(name.canonical());
    kept_.push_back(name);
  }
  return {};
}

Status Exporter::push(const Output& output) {
  const Exported image = TRY(this->image(output.format));
  const auto trust = output.insecure ? registry::Trust::kAnybody : registry::Trust::kVerified;
  for (const auto& name : names_of(output, request_)) {
    const std::string target = output.by_digest ? repository(name) : name.canonical();
    (void)TRY(context(
        shop_.images.push(image.manifest.digest, image.manifest.media_type, name, shop_.sink, cancel_,
                          {.by_digest = output.by_digest,
                           .trust = trust,
                           .vertex = vertex_,
                           .fetch = [this](const auto& blob, const Cancel& inner) { return bring(blob, inner); }}),
        "while pushing {}", output.by_digest ? target : name.familiar()));
    say("pushed " + target + "@" + image.manifest.digest.text());
    call(target);
  }
  return {};
}

void Exporter::say(const std::string& what) const { shop_.sink.on(progress::Log{vertex_, 2, what + "\n"}); }

void Exporter::call(std::string name) {
  if (std::find(called_.begin(), called_.end(), name) == called_.end()) called_.push_back(std::move(name));
}

}  // namespace slipway::build
