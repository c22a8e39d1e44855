#include "build/export.hpp"

#include <algorithm>
#include <thread>

#include "base/text.hpp"
#include "build/recompress.hpp"
#include "build/target_platforms.hpp"
#include "image/transfers.hpp"
#include "layer/owner.hpp"
#include "sys/child.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

std::vector<oci::History> dated(const PlannedImage& plan, const Stack& stack, std::optional<std::int64_t> epoch) {
  std::vector<oci::History> history;
  std::size_t layer = 0;
  for (const auto& planned : plan.history) {
    history.push_back(planned.entry);
    if (!planned.layer || layer >= stack.layers().size()) continue;
    const auto facts = stack.layers()[layer++]->facts();
    if (!history.back().created && facts) history.back().created = facts->created;
  }
  if (epoch)
    for (auto& entry : history)
      if (!entry.created) entry.created = Timestamp{*epoch, 0};
  // The first new layer's time, or the last one that has any (BuildKit's normalizeLayersAndHistory).
  std::optional<Timestamp> created;
  bool missing = false;
  for (const auto& entry : history) {
    if (entry.created) {
      created = entry.created;
      if (missing) break;
    } else {
      missing = true;
    }
  }
  missing = false;
  for (auto& entry : history) {
    if (entry.created) {
      if (missing) created = entry.created;
    } else {
      missing = true;
      entry.created = created;
    }
  }
  return history;
}

/// A file that appears whole or not at all.
Status write_file(const std::string& path, const std::function<Status(const layer::Target&)>& produce) {
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {  // a pipe or a device is written as it is
    sys::Fd fd = TRY(sys::open(path, O_WRONLY | O_NOCTTY));
    TRY(context(produce([&](std::string_view bytes) { return sys::write_all(fd.get(), bytes); }), "while writing {}",
                printable(path)));
    return sys::close_checked(std::move(fd), path);
  }
  std::string temporary = path + ".XXXXXX";
  sys::Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return fail_errno("cannot create {}", printable(path));
  const auto write = [&]() -> Status {
    TRY(context(produce([&](std::string_view bytes) { return sys::write_all(fd.get(), bytes); }), "while writing {}",
                printable(path)));
    if (::fchmod(fd.get(), 0644) < 0) return fail_errno("cannot set the mode of {}", printable(path));
    TRY(sys::sync(fd.get(), path));
    TRY(sys::close_checked(std::move(fd), path));
    return sys::rename_at(AT_FDCWD, temporary, AT_FDCWD, path);
  };
  Status done = write();
  if (!done) (void)sys::unlink_at(AT_FDCWD, temporary);
  return done;
}

Status write_to(const std::string& destination, const Tools& tools,
                const std::function<Status(const layer::Target&)>& produce) {
  if (destination == "-") return produce(tools.standard_output);
  return write_file(destination, produce);
}

/// The trees of all platforms, open.
struct OpenTrees {
  std::vector<sys::Fd> held;
  std::vector<layer::NamedTree> trees;
};

Result<OpenTrees> open_trees(const Workshop& shop, const std::vector<PlatformResult>& results, bool split,
                             const Cancel& cancel) {
  OpenTrees open;
  for (const auto& result : results) {
    layer::NamedTree tree{.name = result.planned.platform.full_text(),
                          .directory = split ? platform_folder(result.planned.platform) : std::string(),
                          .layers = {}};
    for (const auto& directory : TRY(result.stack.lowers(shop, 0, cancel))) {
      open.held.push_back(TRY(sys::open(directory, O_RDONLY | O_DIRECTORY)));
      tree.layers.push_back(open.held.back().get());
    }
    open.trees.push_back(std::move(tree));
  }
  return open;
}

/// The merged trees into a directory of the host: through the archive reader, which writes nothing outside.
Status write_local(const std::string& directory, const std::vector<layer::NamedTree>& trees, const Cancel& cancel) {
  TRY(sys::make_directories(directory, 0755));
  const sys::Fd root = TRY(sys::open(directory, O_RDONLY | O_DIRECTORY));
  sys::Pipe pipe = TRY(sys::make_pipe());
  Status written;
  std::jthread writer([&] {
    auto result = layer::write_trees(
        trees, [&](std::string_view bytes) { return sys::write_all(pipe.write.get(), bytes); }, cancel);
    if (!result) written = std::unexpected(std::move(result).error());
    pipe.write.reset();
  });
  const layer::UnpackOptions options{
      .ownership = ::geteuid() == 0 && !layer::records_owners() ? layer::Ownership::kAsIs : layer::Ownership::kIgnored,
      .whiteouts = layer::Whiteouts::kApply,
      .inert = true};  // a foreign image must not give this machine's users a disk or a set-uid program
  auto unpacked =
      layer::unpack([&](char* buffer, std::size_t size) { return sys::read_some(pipe.read.get(), buffer, size); },
                    root.get(), options, cancel);
  pipe.read.reset();
  writer.join();
  if (!written && !unpacked) return written;  // a tree that ended early is what the reader complains of
  if (!unpacked)
    return context(Status(std::unexpected(std::move(unpacked).error())), "while writing to {}", printable(directory));
  return written;
}

Result<store::Blob> keep(const Workshop& shop, const std::string& bytes) {
  if (const auto here = TRY(shop.store.acquire_blob(shop.lease, oci::Digest::of(bytes)))) return *here;
  return shop.store.put_blob(shop.lease, bytes);
}

}  // namespace

Result<Exported> write_image(const Workshop& shop, const PlatformResult& result, std::optional<std::int64_t> epoch,
                             const ImageFormat& format, const std::string& inline_cache, progress::VertexId vertex,
                             const Cancel& cancel) {
  const auto& [plan, stack] = result;
  oci::ImageConfigView view;
  view.author = plan.author;
  view.platform = plan.config_platform;
  view.config = plan.config;
  view.inline_cache = inline_cache;
  view.history = dated(plan, stack, epoch);
  if (!view.history.empty()) view.created = view.history.back().created;
  if (!view.created) view.created = epoch ? Timestamp{*epoch, 0} : now();
  for (const auto& layer : stack.layers()) view.diff_ids.push_back(layer->facts()->diff);
  auto layers = TRY(layers_in(format, shop, stack, vertex, cancel));
  const oci::ImageConfig config = oci::ImageConfig::make(std::move(view));
  const store::Blob config_blob = TRY(keep(shop, config.raw()));
  const auto config_type =
      format.family == oci::Family::kDocker ? oci::media_type::kDockerConfig : oci::media_type::kOciConfig;
  const oci::Manifest manifest = oci::Manifest::make(
      format.family, {.media_type = std::string(config_type), .digest = config_blob.digest, .size = config_blob.size},
      std::move(layers), format.annotations_of(Annotation::Place::kManifest, plan.platform));
  TRY(keep(shop, manifest.raw()));
  TRY(note_layers(shop, stack, manifest.descriptor()));
  Exported out{manifest.descriptor(), config_blob.digest};
  out.manifest.annotations = format.annotations_of(Annotation::Place::kManifestDescriptor, plan.platform);
  return out;
}

Status note_layers(const Workshop& shop, const Stack& stack, const oci::Descriptor& descriptor) {
  const auto manifest = TRY(
      oci::Manifest::parse(TRY(shop.store.read_blob(descriptor.digest, oci::kManifestLimit)), descriptor.media_type));
  std::vector<oci::Digest> own = {manifest.config().digest};
  for (std::size_t i = 0; i < manifest.layers().size(); ++i) {
    const Layer& layer = *stack.layers().at(i);
    const oci::Digest& blob = manifest.layers()[i].digest;
    const bool as_it_came = layer.base() && layer.facts()->blob.digest == blob;
    if (!as_it_came || TRY(shop.images.holds(*layer.base(), blob))) {
      own.push_back(blob);
    } else if (const auto place = TRY(image::place_of(shop.store, *layer.base(), blob))) {
      TRY(image::remember_place(shop.store, manifest.digest(), *place, {blob}));
    }
  }
  return store::Origins(shop.store).note(store::Origin::image(manifest.digest()), own);
}

Result<Exported> write_index(const Workshop& shop, const std::vector<PlatformResult>& results,
                             const std::vector<Exported>& images, const ImageFormat& format) {
  std::vector<oci::Descriptor> entries;
  for (std::size_t i = 0; i < images.size(); ++i) {
    entries.push_back(images[i].manifest);
    entries.back().platform = results[i].planned.platform;
  }
  const oci::Index index = oci::Index::make(format.family, std::move(entries),
                                            format.annotations_of(Annotation::Place::kIndex, std::nullopt));
  TRY(keep(shop, index.raw()));
  std::vector<oci::Digest> own;
  for (const auto& image : images) own.push_back(image.manifest.digest);
  TRY(store::Origins(shop.store).note(store::Origin::image(index.digest()), own));
  Exported out{index.descriptor(), index.digest()};
  out.manifest.annotations = format.annotations_of(Annotation::Place::kIndexDescriptor, std::nullopt);
  return out;
}

std::vector<oci::Reference> names_of(const Output& output, const Request& request) {
  std::vector<oci::Reference> names = request.tags;
  for (const auto& name : output.names)
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  return names;
}

Status write_output(const Output& output, const Workshop& shop, const Exported& image,
                    const std::vector<PlatformResult>& results, bool index, const Request& request, const Tools& tools,
                    const Cancel& cancel) {
  const bool split = output.platform_split.value_or(index);
  switch (output.type) {
    case Output::Type::kImage:
    case Output::Type::kCacheOnly:
      return {};
    case Output::Type::kOci:
    case Output::Type::kDocker: {
      for (const auto& result : results) TRY(fetch_layers(shop, result.stack, 0, cancel));
      const std::vector<image::SaveItem> items = {{.references = names_of(output, request),
                                                   .target = image.manifest.digest,
                                                   .media_type = image.manifest.media_type,
                                                   .holder = image::Holder::maker(),
                                                   .annotations = image.manifest.annotations}};
      if (output.directory) return image::save_layout(shop.store, items, output.destination, cancel);
      const auto kind = output.type == Output::Type::kOci ? image::ArchiveKind::kOciOnly : image::ArchiveKind::kBoth;
      return write_to(output.destination, tools, [&](const layer::Target& target) {
        return image::save(shop.store, items, kind, target, cancel);
      });
    }
    case Output::Type::kTar: {
      const OpenTrees open = TRY(open_trees(shop, results, split, cancel));
      return write_to(output.destination, tools, [&](const layer::Target& target) -> Status {
        (void)TRY(layer::write_trees(open.trees, target, cancel));
        return {};
      });
    }
    case Output::Type::kLocal: {
      const OpenTrees open = TRY(open_trees(shop, results, split, cancel));
      return write_local(output.destination, open.trees, cancel);
    }
  }
  return fail(Code::kInternal, "an output of no type");
}

}  // namespace slipway::build
