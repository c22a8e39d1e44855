#include "build/stage_sources.hpp"

#include "base/text.hpp"
#include "build/context_source.hpp"
#include "build/oci_layout.hpp"
#include "build/remote_source.hpp"
#include "build/stage_plan.hpp"

namespace slipway::build {

namespace df = dockerfile;

Result<ResolvedImage> StageSources::ask(const std::string& name, const oci::Platform& platform) {
  const oci::Reference reference = TRY(oci::Reference::parse(name));
  const Key key(reference.canonical(), platform.full_text());
  if (const auto known = images_.find(key); known != images_.end()) return known->second;
  const progress::VertexId id = ids_.next();
  context_.shop.sink.on(
      progress::Started{id, fmt::format("[{}internal] load metadata for {}", prefix(platform), reference.canonical())});
  auto resolved = context_.shop.images.resolve(reference, platform,
                                               request_.pull ? image::PullPolicy::kAlways : image::PullPolicy::kMissing,
                                               context_.shop.sink, id, cancel_);
  context_.shop.sink.on(progress::Finished{id, resolved ? "" : resolved.error().message()});
  if (!resolved)
    return std::unexpected(
        std::move(resolved).error().add_context(fmt::format("while resolving {}", reference.canonical())));
  auto image = std::make_shared<const image::Resolved>(TRY(std::move(resolved)));
  if (context_.resolved != nullptr && *context_.resolved) TRY((*context_.resolved)(context_.shop, *image));
  images_.emplace(key, image);
  return image;
}

Result<ResolvedImage> StageSources::resolve(const std::string& name, const oci::Platform& platform,
                                            const df::Source& source) {
  auto image = ask(name, platform);
  if (image || image.error().range()) return image;
  Error error = std::move(image).error();
  std::vector<std::string_view> stages;
  for (const auto& stage : file_.stages)
    if (!stage.name.empty()) stages.push_back(stage.name);
  if (const std::string near = nearest(lower(name), stages); !near.empty() && error.code() != Code::kCancelled)
    error.with_hint(fmt::format("no stage is called {}; did you mean {}?", quoted(name, 128), near));
  return std::unexpected(df::at(file_, source, std::move(error)));
}

std::size_t StageSources::base(const ResolvedImage& image, std::string name, const df::Source& source) {
  const Twins::Spec spec = std::vector<std::string>{"image", identity_of(context_, *image)};
  if (const auto twin = plan_.twins.find(&source, spec, {})) return *twin;
  Place place{ids_.next(), std::move(name), &file_, &source};
  auto op = image_op(context_, place, image);
  const std::size_t vertex = add_vertex(plan_, std::move(place), std::move(op), {}, false);
  plan_.twins.add(&source, spec, {}, vertex);
  return vertex;
}

std::size_t StageSources::copied_from(const ResolvedImage& image, const df::Source& source) {
  const auto [known, fresh] = copied_from_.try_emplace(identity_of(context_, *image));
  if (fresh) {
    Place place{ids_.next(), "FROM " + image->reference.canonical(), &file_, &source};
    auto op = image_op(context_, place, image);
    known->second = add_vertex(plan_, std::move(place), std::move(op), {}, false);
  }
  return known->second;
}

std::size_t StageSources::scratch() {
  if (!scratch_) scratch_ = add_vertex(plan_, {}, scratch_op(context_), {}, false);
  return *scratch_;
}

Result<std::shared_ptr<Context>> StageSources::folder_of(const NamedContext& context) {
  auto& folder = folders_[context.name];
  if (!folder) {
    folder = TRY(slipway::context(open_folder(context_.shop.store, context.value), "while opening the named context {}",
                                  printable(context.name, 200)));
    plan_.folders.push_back(folder);
  }
  return folder;
}

Result<ResolvedImage> StageSources::image_of(const NamedContext& context, const oci::Platform& platform,
                                             const df::Source& source) {
  if (context.kind == NamedContext::Kind::kImage) return resolve(context.value, platform, source);
  auto& known = layouts_[Key(context.name, platform.full_text())];
  if (known) return known;
  auto taken = take_layout(LayoutAddress::parse(context.value), TRY(oci::Reference::parse(context.name)), platform,
                           context_.shop, cancel_);
  if (!taken) return std::unexpected(df::at(file_, source, std::move(taken).error()));
  known = std::make_shared<const image::Resolved>(*std::move(taken));
  return known;
}

Result<std::size_t> StageSources::folder_or_remote(const NamedContext& context, const df::Source& source) {
  const std::size_t nothing = scratch();
  Place place{ids_.next(), fmt::format("[context {}] load {}", context.name, context.value), &file_, &source};
  if (context.kind == NamedContext::Kind::kFolder) {
    CopySpec copy;
    copy.sources = {"."};
    copy.target = "/";
    copy.context = TRY(folder_of(context));
    auto op = copy_op(context_, place, std::move(copy));
    return add_vertex(plan_, std::move(place), std::move(op), {{nothing}}, request_.no_cache);
  }
  if (context.kind == NamedContext::Kind::kRemote) {
    auto remote = context_.remotes->of(context.value, {.checksum = "", .unpack_as_context = true});
    if (!remote) return std::unexpected(df::at(file_, source, std::move(remote).error()));
    auto op = remote_op(context_, place, {.sources = {{"", *std::move(remote)}}});
    return add_vertex(plan_, std::move(place), std::move(op), {{nothing}}, request_.no_cache);
  }
  return nothing;  // docker-image://scratch
}

Result<std::size_t> StageSources::vertex_of(const NamedContext& context, const oci::Platform& platform,
                                            const df::Source& source) {
  // files are the same for every platform
  const Key key(context.name, is_image(context) ? platform.full_text() : std::string());
  if (const auto known = context_vertices_.find(key); known != context_vertices_.end()) return known->second;
  const std::size_t vertex = is_image(context)
                                 ? base(TRY(image_of(context, platform, source)), "FROM " + context.name, source)
                                 : TRY(folder_or_remote(context, source));
  context_vertices_.emplace(key, vertex);
  return vertex;
}

}  // namespace slipway::build
