#include "build/cache_export.hpp"

#include <sys/file.h>

#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "build/buildkit_step.hpp"
#include "build/definition.hpp"
#include "build/recompress.hpp"
#include "image/parallel.hpp"
#include "image/proofs.hpp"
#include "image/transfers.hpp"
#include "oci/canonical_json.hpp"
#include "registry/base64.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

constexpr const char* kName = "org.opencontainers.image.ref.name";
constexpr int kLockPollMs = 20;

/// The layers that the images of the build have.
std::set<oci::DiffId> layers_of(const std::vector<PlatformResult>& results) {
  std::set<oci::DiffId> diffs;
  for (const auto& result : results)
    for (const auto& layer : result.stack.layers())
      if (const auto facts = layer->facts()) diffs.insert(facts->diff);
  return diffs;
}

bool all_in(const Stack& stack, const std::set<oci::DiffId>& diffs) {
  return std::ranges::all_of(stack.layers(), [&](const auto& layer) { return diffs.contains(layer->facts()->diff); });
}

std::optional<Timestamp> created_of(const Stack& stack) {
  return stack.layers().empty() ? std::nullopt : stack.layers().back()->facts()->created;
}

std::vector<oci::Digest> digests_of(const Stack& stack, const std::map<oci::Digest, oci::Descriptor>& blobs) {
  std::vector<oci::Digest> digests;
  for (const auto& layer : stack.layers()) {
    const oci::Digest own = layer->facts()->blob.digest;
    const auto encoded = blobs.find(own);
    digests.push_back(encoded == blobs.end() ? own : encoded->second.digest);
  }
  return digests;
}

}  // namespace

std::shared_ptr<const Stack> CacheExport::merged(std::size_t vertex) const {
  // Said from what it is made of, whether it was made in this build or not: the words must not depend on that.
  const auto& inputs = plan_.graph.vertices()[vertex].inputs;
  const auto &base = stacks_[inputs[0].vertex], &link = stacks_[inputs[1].vertex];
  if (!base || !link || link->layers().empty()) return nullptr;
  LayerFacts top = *link->layers().back()->facts();
  const auto below = base->chain();
  top.chain = below ? below->next(top.diff) : oci::ChainId::first(top.diff);
  auto layers = base->layers();
  layers.push_back(std::make_shared<Layer>(std::move(top), link->layers().back()->base()));
  return std::make_shared<const Stack>(std::move(layers));
}

Result<std::shared_ptr<const Stack>> CacheExport::make_stack(std::size_t vertex) const {
  const auto& solved = solved_[vertex];
  const auto& op = static_cast<const DescribedOp&>(*plan_.graph.vertices()[vertex].op);
  if (op.kind() == "scratch") return std::make_shared<const Stack>();
  if (op.kind() == "merge") return merged(vertex);
  if (const auto* image = op.image(); image != nullptr && !solved.output)
    return TRY(build::stack_of(std::make_shared<const image::Resolved>(*image)));
  if (solved.output) {
    auto stack = std::static_pointer_cast<const Stack>(solved.output);
    const bool known =
        std::ranges::all_of(stack->layers(), [](const auto& layer) { return layer->facts().has_value(); });
    return known && stack->recordable() ? stack : nullptr;
  }
  if (!solved.value) return nullptr;
  return TRY(import_ != nullptr ? import_->decode(*solved.value) : Stack::decode(*solved.value));
}

Result<std::vector<std::size_t>> CacheExport::buildkit_records(std::size_t vertex,
                                                               const std::vector<std::vector<std::size_t>>& known,
                                                               buildcache::ConfigBuilder& builder) const {
  const auto& [op, inputs, ignored] = plan_.graph.vertices()[vertex];
  BuildkitAsk ask;
  for (const auto& input : inputs) {
    ask.inputs.push_back(input.vertex);
    const auto& below = static_cast<const DescribedOp&>(*plan_.graph.vertices()[input.vertex].op);
    ask.nothing.push_back(below.kind() == "scratch");
    ask.outputs.push_back(stacks_[input.vertex]);
  }
  const auto step = TRY(static_cast<DescribedOp&>(*op).buildkit_step(ask, cancel_));
  std::vector<std::size_t> records;
  if (!step) return records;
  std::vector<std::vector<buildcache::Link>> links;
  for (std::size_t i = 0; i < step->inputs.size(); ++i) {
    const auto& input = step->inputs[i];
    auto& here = links.emplace_back();
    if (import_ != nullptr && input.input && input.roots.empty() && !input.selector.empty())
      for (const auto& root : TRY(import_->contents(vertex, i))) here.push_back({"", builder.add(root)});
    for (const auto& [selector, root] : input.roots) here.push_back({selector, builder.add(root)});
    if (input.input)
      for (const std::size_t number : known[inputs[*input.input].vertex]) here.push_back({input.selector, number});
    if (here.empty()) return records;  // it stands on what BuildKit has no key for
  }
  for (const auto& digest : step->digests) records.push_back(builder.add(digest, links));
  return records;
}

Status CacheExport::encode(const CacheTarget& target, const std::vector<std::shared_ptr<const Stack>>& stacks,
                           Blobs& blobs, progress::VertexId vertex) const {
  std::vector<std::shared_ptr<Layer>> layers;
  std::set<oci::Digest> seen;
  for (const auto& stack : stacks) {
    if (!stack) continue;
    for (const auto& layer : stack->layers())
      if (seen.insert(layer->facts()->blob.digest).second) layers.push_back(layer);
  }
  const auto encoded = TRY(layers_in(target.format, shop_, Stack(layers), vertex, cancel_));
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const LayerFacts facts = *layers[i]->facts();
    oci::Descriptor blob = encoded[i];
    blob.annotations[buildcache::kDiffAnnotation] = facts.diff.digest.text();
    if (facts.created) blob.annotations[buildcache::kCreatedAnnotation] = rfc3339(*facts.created);
    blobs.emplace(facts.blob.digest, std::move(blob));
  }
  return {};
}

Result<buildcache::ConfigBuilder> CacheExport::collect(const CacheTarget& target, Blobs& blobs,
                                                       progress::VertexId vertex) const {
  const std::set<oci::DiffId> diffs = layers_of(results_);
  const std::size_t count = plan_.graph.vertices().size();
  for (std::size_t v = stacks_.size(); v < count; ++v) stacks_.push_back(TRY(make_stack(v)));
  std::vector<std::shared_ptr<const Stack>> stacks(count);
  for (std::size_t v = 0; v < count; ++v) {
    if (!solved_[v].key || plan_.graph.vertices()[v].inputs.empty()) continue;  // a source is no result
    auto stack = stacks_[v];
    if (!stack || stack->layers().empty() || !created_of(*stack)) continue;
    if (target.all || all_in(*stack, diffs)) stacks[v] = std::move(stack);
  }
  if (!target.in_image) TRY(encode(target, stacks, blobs, vertex));

  buildcache::ConfigBuilder builder;
  std::vector<std::vector<std::size_t>> known(count);
  for (std::size_t v = 0; v < count; ++v) {
    const auto& solved = solved_[v];
    if (!solved.key) continue;
    known[v] = TRY(buildkit_records(v, known, builder));
    if (!stacks[v]) continue;
    const auto digests = digests_of(*stacks[v], blobs);
    const Timestamp created = *created_of(*stacks[v]);
    for (const std::size_t number : known[v]) builder.add_result(number, digests, created);
    if (!plan_.graph.vertices()[v].op->recorded()) continue;
    const std::size_t own = builder.add(*solved.key);
    builder.add_result(own, digests, created);
    if (solved.fast && *solved.fast != *solved.key)
      builder.add_result(builder.add(*solved.fast, {{{"", own}}}), digests, created);
  }
  return builder;
}

Result<std::string> CacheExport::inline_records(const Stack& image) const {
  Blobs none;
  const auto builder = TRY(collect({.in_image = true, .place = {}, .format = {}}, none, 0));
  const std::string records = builder.inline_records(digests_of(image, none));
  return records.empty() ? std::string() : registry::base64_encode(records);
}

CacheExport::Document CacheExport::document(const CacheTarget& target, const buildcache::ConfigBuilder& builder,
                                            const Blobs& blobs) {
  Document out{.config = builder.config(),
               .manifest = {.digest = oci::Digest::of("")},
               .bytes = {},
               .layers = {},
               .config_blob = {.digest = oci::Digest::of("")}};
  out.config_blob = {.media_type = std::string(buildcache::kConfigType),
                     .digest = oci::Digest::of(out.config),
                     .size = std::ssize(out.config)};
  std::map<oci::Digest, const oci::Descriptor*> by_digest;
  for (const auto& [own, encoded] : blobs) by_digest[encoded.digest] = &encoded;
  std::set<oci::Digest> listed;
  for (const auto& blob : builder.blobs())
    if (listed.insert(blob).second) out.layers.push_back(*by_digest.at(blob));
  if (target.image_manifest) {
    const auto manifest = oci::Manifest::make(target.format.family, out.config_blob, out.layers);
    out.manifest = manifest.descriptor();
    out.bytes = manifest.raw();
  } else {
    auto entries = out.layers;
    entries.push_back(out.config_blob);
    const auto index = oci::Index::make(target.format.family, std::move(entries));
    out.manifest = index.descriptor();
    out.bytes = index.raw();
  }
  return out;
}

Status CacheExport::write(const CacheTarget& target, progress::VertexId vertex) const {
  Blobs blobs;
  const auto builder = TRY(collect(target, blobs, vertex));
  if (!builder.has_results()) {
    say(vertex, "there is no result to write");
    return {};
  }
  const Document document = this->document(target, builder, blobs);
  if (document.config_blob.size > buildcache::kBuildkitConfigLimit)
    shop_.sink.on(progress::Warning{
        fmt::format("the cache {} has records of {} bytes; BuildKit reads at most {}: mode=min has fewer",
                    target.place.title, document.config_blob.size, buildcache::kBuildkitConfigLimit)});
  return target.place.reference ? push(target, document, vertex) : save(target, document);
}

const image::Resolved* CacheExport::came_with(const oci::Digest& blob) const {
  const image::Resolved* came = nullptr;
  for (const auto& stack : stacks_) {
    if (!stack) continue;
    for (const auto& layer : stack->layers()) {
      if (layer->facts()->blob.digest != blob) continue;
      if (!layer->base()) return nullptr;
      came = layer->base().get();
    }
  }
  return came;
}

Status CacheExport::bring(const oci::Digest& blob, progress::VertexId vertex, const Cancel& cancel) const {
  const auto* image = came_with(blob);
  return image == nullptr ? here(blob) : shop_.images.fetch_layers(*image, {blob}, shop_.sink, vertex, cancel);
}

Result<std::optional<std::string>> CacheExport::mount_for(const oci::Reference& name, const store::Origin& there,
                                                          const oci::Digest& blob, progress::VertexId vertex,
                                                          const Cancel& cancel) const {
  const auto* image = came_with(blob);
  if (image != nullptr && !TRY(shop_.images.holds(*image, blob))) {
    const auto place = TRY(image::place_of(shop_.store, *image, blob));
    if (place && place->registry() == name.registry()) return place->repository();
    TRY(bring(blob, vertex, cancel));
  }
  if (auto known = TRY(store::Origins(shop_.store).repository_with(there.registry, blob))) return known;
  return import_ == nullptr ? std::nullopt : import_->neighbour(name, blob);
}

Status CacheExport::here(const oci::Digest& blob) const {
  if (TRY(shop_.store.acquire_blob(shop_.lease, blob))) return {};
  return fail(Code::kNotFound, "the layer {} is not in the store any more", blob.text());
}

Status CacheExport::push(const CacheTarget& target, const Document& document, progress::VertexId vertex) const {
  const oci::Reference& name = *target.place.reference;
  const auto repository = shop_.images.client.repository(
      name, target.place.insecure ? registry::Trust::kAnybody : registry::Trust::kVerified);
  const auto there = image::origin_of(name, repository.trust());
  std::set<oci::Digest> had;  // what the cache that is replaced has
  if (const auto old = repository.manifest(name, cancel_)) {
    if (old->digest == document.manifest.digest) {
      say(vertex, "the cache is there already: " + document.manifest.digest.text());
      return {};
    }
    if (oci::media_type::is_index(old->media_type)) {
      if (const auto index = oci::Index::parse(old->bytes, old->media_type))
        for (const auto& entry : index->manifests())
          if (oci::media_type::layer_compression(entry.media_type)) had.insert(entry.digest);
    } else if (const auto manifest = oci::Manifest::parse(old->bytes, old->media_type)) {
      for (const auto& layer : manifest->layers()) had.insert(layer.digest);
    }
  } else if (old.error().code() == Code::kCancelled) {
    return std::unexpected(old.error());
  }
  std::vector<oci::Descriptor> missing;
  for (const auto& layer : document.layers)
    if (!had.contains(layer.digest)) missing.push_back(layer);
  TRY(image::for_each_parallel(
      missing.size(), shop_.images.client.parallel_transfers(), cancel_,
      [&](std::size_t i, const Cancel& inner) -> Status {
        const oci::Descriptor& blob = missing[i];
        image::TransferReport report(shop_.sink, vertex, blob.digest.text(), blob.size);
        const auto open = [&](std::int64_t offset) -> Result<layer::Source> {
          TRY(bring(blob.digest, vertex, inner));
          auto file = std::make_shared<sys::Fd>(TRY(shop_.store.open_blob(blob.digest)));
          return layer::Source([file, offset](char* buffer, std::size_t size) mutable -> Result<std::size_t> {
            const std::size_t got = TRY(sys::read_some_at(file->get(), buffer, size, offset));
            offset += static_cast<std::int64_t>(got);
            return got;
          });
        };
        const auto find_mount = [&] { return mount_for(name, there, blob.digest, vertex, inner); };
        const auto progress = [&](std::int64_t sent) { report.done(sent); };
        TRY(context(repository.upload(blob, open, find_mount, progress, inner), "while uploading {}",
                    blob.digest.text()));
        return image::note_uploaded(store::Origins(shop_.store), there, blob, report.farthest());
      }));
  const auto open_config = [&](std::int64_t offset) -> Result<layer::Source> {
    return layer::Source([&, offset](char* buffer, std::size_t size) mutable -> Result<std::size_t> {
      const auto rest = std::string_view(document.config).substr(static_cast<std::size_t>(offset));
      const std::size_t got = rest.copy(buffer, size);
      offset += static_cast<std::int64_t>(got);
      return got;
    });
  };
  TRY(repository.upload(document.config_blob, open_config, std::nullopt, [](std::int64_t) {}, cancel_));
  TRY(repository.put_manifest(document.bytes, document.manifest.media_type,
                              name.tag().empty() ? document.manifest.digest.text() : name.tag(), cancel_));
  say(vertex, fmt::format("wrote the cache {} to {}", document.manifest.digest.text(), name.canonical()));
  return {};
}

namespace {

/// A layout that is written: files appear whole, under names that nobody of ours holds at the same time.
class Folder {
 public:
  static Result<Folder> open(const std::string& directory, const Cancel& cancel) {
    TRY(sys::make_directories(directory, 0755));
    sys::Fd root = TRY(sys::open(directory, O_RDONLY | O_DIRECTORY));
    for (const char* folder : {"blobs", "blobs/sha256"})
      if (::mkdirat(root.get(), folder, 0755) < 0 && errno != EEXIST)
        return fail_errno("cannot create {}/{}", printable(directory), folder);
    while (::flock(root.get(), LOCK_EX | LOCK_NB) < 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) break;  // some file systems of the network have no such locks
      TRY(cancel.check());
      (void)cancel.wait_for(kLockPollMs);
    }
    sys::Fd blobs = TRY(sys::open_beneath(root.get(), "blobs/sha256", O_RDONLY | O_DIRECTORY));
    return Folder(std::move(root), std::move(blobs));
  }

  Result<bool> has(const oci::Digest& digest, std::int64_t size) const {
    const auto there = TRY(sys::lstat_at(blobs_.get(), digest.hex()));
    return there && S_ISREG(there->st_mode) && there->st_size == size;
  }
  Status put_blob(const oci::Digest& digest, const std::function<Status(int)>& produce) const {
    return put(blobs_.get(), digest.hex(), 0444, produce);
  }
  Status put_file(const std::string& name, const std::string& text) const {
    return put(root_.get(), name, 0644, [&](int fd) { return sys::write_all(fd, text); });
  }
  Result<std::vector<oci::Descriptor>> entries() const {
    auto file = sys::open_beneath(root_.get(), "index.json", O_RDONLY | O_NONBLOCK);
    if (!file && file.error().code() == Code::kNotFound) return std::vector<oci::Descriptor>();
    const sys::Fd opened = TRY(std::move(file));
    const auto index = TRY(oci::Index::parse(TRY(sys::read_all(opened.get(), oci::kManifestLimit)), ""));
    return index.manifests();
  }
  Status sync() const {
    TRY(sys::sync(blobs_.get(), "blobs/sha256"));
    return sys::sync(root_.get(), "index.json");
  }

 private:
  Folder(sys::Fd root, sys::Fd blobs) : root_(std::move(root)), blobs_(std::move(blobs)) {}
  static Status put(int at, const std::string& name, mode_t mode, const std::function<Status(int)>& produce) {
    const std::string temporary = fmt::format(".{}.{}", name, ::getpid());
    TRY(sys::unlink_at(at, temporary));
    const int raw = ::openat(at, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (raw < 0) return fail_errno("cannot create {}", printable(temporary));
    sys::Fd fd(raw);
    const auto write = [&]() -> Status {
      TRY(produce(fd.get()));
      TRY(sys::sync(fd.get(), name));
      TRY(sys::close_checked(std::move(fd), name));
      return sys::rename_at(at, temporary, at, name);
    };
    Status done = write();
    if (!done) (void)sys::unlink_at(at, temporary);
    return done;
  }
  sys::Fd root_, blobs_;
};

}  // namespace

Status CacheExport::save(const CacheTarget& target, const Document& document) const {
  const auto work = [&]() -> Status {
    const Folder folder = TRY(Folder::open(target.place.directory, cancel_));
    for (const auto& layer : document.layers) {
      if (TRY(folder.has(layer.digest, layer.size))) continue;
      TRY(bring(layer.digest, 0, cancel_));
      const sys::Fd blob = TRY(shop_.store.open_blob(layer.digest));
      TRY(folder.put_blob(layer.digest, [&](int out) -> Status {
        std::string buffer(256 * 1024, '\0');
        while (const std::size_t got = TRY(sys::read_some(blob.get(), buffer.data(), buffer.size()))) {
          TRY(cancel_.check());
          TRY(sys::write_all(out, std::string_view(buffer).substr(0, got)));
        }
        return {};
      }));
    }
    for (const auto& [digest, bytes] : {std::pair(document.config_blob.digest, &document.config),
                                        std::pair(document.manifest.digest, &document.bytes)})
      if (!TRY(folder.has(digest, std::ssize(*bytes))))
        TRY(folder.put_blob(digest, [&](int out) { return sys::write_all(out, *bytes); }));
    auto entries = TRY(folder.entries());
    const auto before = entries;
    oci::Descriptor named = document.manifest;
    named.annotations[kName] = target.place.tag;
    const auto called = std::ranges::find_if(entries, [&](const oci::Descriptor& entry) {
      const auto name = entry.annotations.find(kName);
      return name != entry.annotations.end() && name->second == target.place.tag;
    });
    if (called != entries.end())
      *called = std::move(named);
    else
      entries.push_back(std::move(named));
    if (entries == before) return {};
    TRY(folder.put_file("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}"));
    TRY(folder.put_file("index.json", oci::Index::make(oci::Family::kOci, std::move(entries)).raw()));
    return folder.sync();
  };
  return context(work(), "while writing the cache to {}", printable(target.place.directory, 300));
}

void CacheExport::say(progress::VertexId vertex, const std::string& what) const {
  shop_.sink.on(progress::Log{vertex, 2, what + "\n"});
}

}  // namespace slipway::build
