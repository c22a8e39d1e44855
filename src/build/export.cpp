#include "build/export.hpp"

#include <algorithm>
#include <thread>

#include "base/text.hpp"
#include "build/recompress.hpp"
#include "sys/child.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

std::vector<oci::History> dated(const Plan& plan, const Stack& stack, std::optional<std::int64_t> epoch) {
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

struct OpenLayers {
  std::vector<sys::Fd> held;
  std::vector<int> numbers;
};

Result<OpenLayers> open_layers(const Workshop& shop, const Stack& stack, const Cancel& cancel) {
  OpenLayers open;
  for (const auto& directory : TRY(stack.lowers(shop, 0, cancel))) {
    open.held.push_back(TRY(sys::open(directory, O_RDONLY | O_DIRECTORY)));
    open.numbers.push_back(open.held.back().get());
  }
  return open;
}

/// The merged tree into a directory of the host: through the archive reader, which writes nothing outside.
Status write_local(const std::string& directory, const std::vector<int>& layers, const Cancel& cancel) {
  TRY(sys::make_directories(directory, 0755));
  const sys::Fd root = TRY(sys::open(directory, O_RDONLY | O_DIRECTORY));
  sys::Pipe pipe = TRY(sys::make_pipe());
  Status written;
  std::jthread writer([&] {
    auto result = layer::write_merged(
        layers, [&](std::string_view bytes) { return sys::write_all(pipe.write.get(), bytes); }, cancel);
    if (!result) written = std::unexpected(std::move(result).error());
    pipe.write.reset();
  });
  const layer::UnpackOptions options{
      .ownership = ::geteuid() == 0 ? layer::Ownership::kAsIs : layer::Ownership::kIgnored,
      .whiteouts = layer::Whiteouts::kApply,
      .inert = true};  // a foreign image must not give this machine's users a disk or a set-uid program
  auto unpacked =
      layer::unpack([&](char* buffer, std::size_t size) { return sys::read_some(pipe.read.get(), buffer, size); },
                    root.get(), options, cancel);
  pipe.read.reset();
  writer.join();
  if (!unpacked)
    return context(Status(std::unexpected(std::move(unpacked).error())), "while writing to {}", printable(directory));
  return written;
}

}  // namespace

Result<Exported> write_image(const Workshop& shop, const Plan& plan, const Stack& stack,
                             std::optional<std::int64_t> epoch, const ImageFormat& format, progress::VertexId vertex,
                             const Cancel& cancel) {
  oci::ImageConfigView view;
  view.author = plan.author;
  view.platform = plan.platform;
  view.config = plan.config;
  view.history = dated(plan, stack, epoch);
  if (!view.history.empty()) view.created = view.history.back().created;
  if (!view.created) view.created = epoch ? Timestamp{*epoch, 0} : now();
  for (const auto& layer : stack.layers()) view.diff_ids.push_back(layer->facts()->diff);
  auto layers = TRY(layers_in(format, shop, stack, vertex, cancel));
  const oci::ImageConfig config = oci::ImageConfig::make(std::move(view));
  const auto keep = [&](const std::string& bytes) -> Result<store::Blob> {
    if (const auto here = TRY(shop.store.acquire_blob(shop.lease, oci::Digest::of(bytes)))) return *here;
    return shop.store.put_blob(shop.lease, bytes);
  };
  const store::Blob config_blob = TRY(keep(config.raw()));
  const auto config_type =
      format.family == oci::Family::kDocker ? oci::media_type::kDockerConfig : oci::media_type::kOciConfig;
  const oci::Manifest manifest = oci::Manifest::make(
      format.family, {.media_type = std::string(config_type), .digest = config_blob.digest, .size = config_blob.size},
      std::move(layers), format.annotations_of(Annotation::Place::kManifest, plan.platform));
  TRY(keep(manifest.raw()));
  Exported out{manifest.descriptor(), config_blob.digest};
  out.manifest.annotations = format.annotations_of(Annotation::Place::kManifestDescriptor, plan.platform);
  return out;
}

std::vector<oci::Reference> names_of(const Output& output, const Request& request) {
  std::vector<oci::Reference> names = request.tags;
  for (const auto& name : output.names)
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  return names;
}

Status write_output(const Output& output, const Workshop& shop, const Exported& image, const Stack& stack,
                    const Request& request, const Tools& tools, const Cancel& cancel) {
  switch (output.type) {
    case Output::Type::kImage:
    case Output::Type::kCacheOnly:
      return {};
    case Output::Type::kOci:
    case Output::Type::kDocker: {
      TRY(fetch_layers(shop, stack, 0, cancel));
      const std::vector<image::SaveItem> items = {{.references = names_of(output, request),
                                                   .target = image.manifest.digest,
                                                   .media_type = image.manifest.media_type,
                                                   .annotations = image.manifest.annotations}};
      if (output.directory) return image::save_layout(shop.store, items, output.destination, cancel);
      const auto kind = output.type == Output::Type::kOci ? image::ArchiveKind::kOciOnly : image::ArchiveKind::kBoth;
      return write_to(output.destination, tools, [&](const layer::Target& target) {
        return image::save(shop.store, items, kind, target, cancel);
      });
    }
    case Output::Type::kTar: {
      const OpenLayers open = TRY(open_layers(shop, stack, cancel));
      return write_to(output.destination, tools, [&](const layer::Target& target) -> Status {
        (void)TRY(layer::write_merged(open.numbers, target, cancel));
        return {};
      });
    }
    case Output::Type::kLocal: {
      const OpenLayers open = TRY(open_layers(shop, stack, cancel));
      return write_local(output.destination, open.numbers, cancel);
    }
  }
  return fail(Code::kInternal, "an output of no type");
}

}  // namespace slipway::build
