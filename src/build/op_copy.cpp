#include "base/text.hpp"
#include "build/layer_op.hpp"
#include "build/tree_sum.hpp"
#include "dockerfile/go_match.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

Result<Tree> tree_of(const Workshop& shop, const solver::Output& output, progress::VertexId vertex,
                     const Cancel& cancel) {
  auto layers = TRY(static_cast<const Stack&>(output).lowers(shop, vertex, cancel));
  if (layers.empty()) return fail(Code::kNotFound, "the stage is empty");
  return Tree(TRY(layer::MergedDir::open_paths(layers)), std::nullopt);
}

class CopyOp final : public LayerOp {
 public:
  CopyOp(const OpContext& op_context, Place place, CopySpec spec)
      : LayerOp(op_context, std::move(place)), spec_(std::move(spec)) {}

  Result<solver::Key> definition(const Cancel& cancel) override {
    Definition definition("copy");
    definition.add("target", spec_.target).add("chown", spec_.chown).add("chmod", spec_.chmod);
    if (!spec_.chmod.empty()) {
      auto mode = ModeChange::parse(spec_.chmod);
      if (!mode) return std::unexpected(place().locate(std::move(mode).error()));
    }
    for (const auto& file : spec_.inline_files) definition.add("inline", file.name).add("content", file.content);
    if (spec_.context) {
      auto sum = content_of(spec_.context->tree, spec_.context->sums.get(), cancel);
      if (!sum) return std::unexpected(place().locate(std::move(sum).error()));
      definition.add("content", sum->text());
    } else {
      definition.add("sources", spec_.sources);
    }
    return definition.finish();
  }

  Result<solver::Key> content(std::size_t, const solver::Output& output, const Cancel& cancel) override {
    const auto sum = [&]() -> Result<solver::Key> {
      const Tree tree = TRY(tree_of(context().shop, output, place().id, cancel));
      return content_of(tree, nullptr, cancel);
    };
    auto digest = sum();
    if (!digest) return std::unexpected(place().locate(std::move(digest).error()));
    return digest;
  }

 protected:
  Status fill(const store::SnapshotDraft& draft, const std::vector<std::string>& lowers,
              const std::vector<solver::OutputPtr>& inputs, const Cancel& cancel) override {
    Destination destination = TRY(Destination::open(draft.fs(), lowers));
    CopyOptions options;
    if (!spec_.chmod.empty()) options.mode = TRY(ModeChange::parse(spec_.chmod));
    if (!spec_.chown.empty()) options.owner = TRY(resolve_owner(spec_.chown, TRY(destination.view())));
    const Timestamp created = context().created();
    options.created = {created.seconds, created.nanoseconds};
    options.from_stage = !spec_.context;
    if (spec_.context) {
      options.sums = spec_.context->sums.get();
      TRY(destination.copy(spec_.context->tree, TRY(paths_in(spec_.context->tree)), spec_.target, options, cancel));
    } else if (!spec_.sources.empty()) {
      const Tree tree = TRY(tree_of(context().shop, *inputs[1], place().id, cancel));
      TRY(destination.copy(tree, TRY(paths_in(tree)), spec_.target, options, cancel));
    }
    return destination.copy_inline(spec_.inline_files, spec_.target, options);
  }

 private:
  Result<std::vector<std::string>> paths_in(const Tree& tree) const {
    std::vector<std::string> paths;
    for (const auto& source : spec_.sources) {
      auto matched = TRY(tree.glob(source));
      const bool wildcard = dockerfile::has_wildcard(source);
      if (matched.empty() && !wildcard)
        return fail(Code::kNotFound, "failed to calculate checksum of the source: \"/{}\": not found",
                    printable(clean_rooted(source)));
      paths.insert(paths.end(), matched.begin(), matched.end());
    }
    return paths;
  }

  Result<solver::Key> content_of(const Tree& tree, FileSums* sums, const Cancel& cancel) const {
    return sum_paths(tree, TRY(paths_in(tree)), {.owner = sums == nullptr, .sums = sums}, cancel);
  }

  CopySpec spec_;
};

class WorkdirOp final : public LayerOp {
 public:
  WorkdirOp(const OpContext& op_context, Place place, std::string path, std::string user)
      : LayerOp(op_context, std::move(place)), path_(std::move(path)), user_(std::move(user)) {}

  Result<solver::Key> definition(const Cancel&) override {
    return Definition("workdir").add("path", path_).add("user", user_).finish();
  }

 protected:
  Status fill(const store::SnapshotDraft& draft, const std::vector<std::string>& lowers,
              const std::vector<solver::OutputPtr>&, const Cancel&) override {
    Destination destination = TRY(Destination::open(draft.fs(), lowers));
    Owner owner;
    if (!user_.empty()) {
      const Account account = TRY(resolve_user(user_, TRY(destination.view())));
      owner = {account.uid, account.gid};
    }
    return destination.make_directory(path_, owner);
  }

 private:
  std::string path_, user_;
};

}  // namespace

std::shared_ptr<solver::Op> copy_op(const OpContext& context, Place place, CopySpec spec) {
  return std::make_shared<CopyOp>(context, std::move(place), std::move(spec));
}

std::shared_ptr<solver::Op> workdir_op(const OpContext& context, Place place, std::string path, std::string user) {
  return std::make_shared<WorkdirOp>(context, std::move(place), std::move(path), std::move(user));
}

}  // namespace slipway::build
