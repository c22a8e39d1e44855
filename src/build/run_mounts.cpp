#include "build/run_mounts.hpp"

#include <set>

#include "base/text.hpp"
#include "build/layer_op.hpp"
#include "build/listing.hpp"
#include "build/ssh_agents.hpp"
#include "build/tree.hpp"
#include "build/tree_sum.hpp"

namespace slipway::build {
namespace {

using Type = dockerfile::Mount::Type;

std::string number(std::uint64_t value) { return std::to_string(value); }

Status apply_tree(const RunMount& mount, const Workshop& shop, const std::vector<solver::OutputPtr>& inputs,
                  progress::VertexId vertex, sandbox::Spec& spec, const Cancel& cancel) {
  sandbox::TreeMount tree;
  tree.lowers = TRY(static_cast<const Stack&>(*inputs[*mount.input]).lowers(shop, vertex, cancel));
  tree.source = "/" + mount.source;
  tree.target = mount.target;
  tree.discard_writes = !mount.read_only;
  spec.trees.push_back(std::move(tree));
  return {};
}

void apply_secret(const RunMount& mount, sandbox::Spec& spec) {
  if (!mount.value) return;
  if (mount.file)
    spec.files.push_back(
        {.content = *mount.value, .target = mount.target, .mode = mount.mode, .uid = mount.uid, .gid = mount.gid});
  if (mount.env.empty()) return;
  std::erase_if(spec.environment, [&](const std::string& entry) { return entry.starts_with(mount.env + "="); });
  spec.environment.push_back(mount.env + "=" + *mount.value);
}

}  // namespace

std::string title(const RunMount& mount) {
  constexpr std::string_view kTypes[] = {"bind", "cache", "tmpfs", "secret", "ssh"};
  return fmt::format("{} ({})", mount.shown.empty() ? mount.target : mount.shown,
                     kTypes[static_cast<std::size_t>(mount.type)]);
}

void describe(const RunMount& mount, Definition& definition) {
  definition.part(What::kMount, title(mount));
  definition.add("mount", number(static_cast<unsigned>(mount.type))).add("target", mount.target);
  definition.add("read only", mount.read_only ? "1" : "0").add("size", number(static_cast<std::uint64_t>(mount.size)));
  definition.add("source", mount.source)
      .add("id", mount.id)
      .add("variable", mount.env)
      .add("file", mount.file ? "1" : "0");
  if (mount.cache) {
    // What a cache holds is not in the key; which one it is may well be seen by the command.
    definition.part(What::kCacheId, title(mount)).add("cache", mount.cache->key.text());
    definition.part(What::kMount, title(mount)).add("source", mount.cache->source);
    definition.add("mode", number(mount.cache->mode))
        .add("uid", number(mount.cache->uid))
        .add("gid", number(mount.cache->gid));
  }
  definition.add("mode", number(mount.mode)).add("uid", number(mount.uid)).add("gid", number(mount.gid));
}

Result<solver::Key> content_of(const RunMount& mount, const Workshop& shop, const solver::Output& output,
                               progress::VertexId vertex, ListingWriter& files, const Cancel& cancel) {
  const auto layers = TRY(static_cast<const Stack&>(output).lowers(shop, vertex, cancel));
  const auto missing = [&] {
    return fail(Code::kNotFound, "failed to calculate checksum of the source: \"/{}\": not found",
                printable(mount.source));
  };
  if (layers.empty()) return mount.source.empty() ? Result<solver::Key>(solver::Key::of("")) : missing();
  const Tree tree(TRY(layer::MergedDir::open_paths(layers)), std::nullopt);
  if (!TRY(tree.resolve(mount.source, FollowLast::kYes)).found && !mount.source.empty()) return missing();
  return sum_paths(tree, {mount.source}, {.owner = true, .sums = nullptr, .files = &files}, cancel);
}

SshLoans::SshLoans() = default;
SshLoans::~SshLoans() = default;

Status SshLoans::add(const std::vector<RunMount>& mounts, const SshAgents* agents, sandbox::Spec& spec) {
  for (const auto& mount : mounts) {
    if (mount.type != Type::kSsh) continue;
    const std::shared_ptr<const ssh::Agent> agent = agents == nullptr ? nullptr : agents->find(mount.id);
    if (agent == nullptr && mount.required)
      return std::unexpected(
          Error(Code::kNotFound, agents == nullptr || agents->empty()
                                     ? fmt::format("no SSH key {} forwarded from the client", quoted(mount.id, 128))
                                     : fmt::format("unset ssh forward key {}", printable(mount.id, 128)))
              .with_hint(fmt::format("give an agent or a key with --ssh {}[=SOCKET|KEY]", printable(mount.id, 128))));
    if (agent == nullptr) continue;
    spec.sockets.push_back({.target = mount.target,
                            .mode = mount.mode,
                            .uid = mount.uid,
                            .gid = mount.gid,
                            .serve = [this, agent](sys::Fd listener) {
                              forwarders_.push_back(std::make_unique<ssh::Forwarder>(std::move(listener), agent));
                            }});
  }
  return {};
}

Status apply(const std::vector<RunMount>& mounts, const Workshop& shop, const std::vector<solver::OutputPtr>& inputs,
             progress::VertexId vertex, sandbox::Spec& spec, CacheMounts& caches, const Cancel& cancel) {
  std::set<oci::Digest> locked;
  for (const auto& mount : mounts)
    if (mount.cache && mount.cache->sharing == dockerfile::Mount::Sharing::kLocked) locked.insert(mount.cache->key);
  TRY(caches.lock(locked, cancel));
  for (const auto& mount : mounts) {
    switch (mount.type) {
      case Type::kBind:
        TRY(apply_tree(mount, shop, inputs, vertex, spec, cancel));
        break;
      case Type::kTmpfs:
        spec.tmpfs.push_back({.target = mount.target, .size = mount.size});
        break;
      case Type::kSecret:
        apply_secret(mount, spec);
        break;
      case Type::kCache:
        TRY(caches.add(*mount.cache, mount.input ? static_cast<const Stack*>(inputs[*mount.input].get()) : nullptr,
                       vertex, spec, cancel));
        break;
      case Type::kSsh:
        break;  // SshLoans
    }
  }
  return {};
}

}  // namespace slipway::build
