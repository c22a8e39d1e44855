#include "build/cache_import.hpp"
#include "build/commit.hpp"
#include "build/layer_op.hpp"
#include "build/remote_source.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

class RemoteOp final : public DescribedOp {
 public:
  RemoteOp(const OpContext& context, Place place, RemoteSpec spec)
      : context_(context), place_(std::move(place)), spec_(std::move(spec)) {}

  std::string_view kind() const override { return "remote"; }

  Result<solver::OutputPtr> load(std::string_view value, const std::vector<solver::Key>&,
                                 const Cancel& cancel) override {
    return load_stack(context_, value, cancel);
  }

  Result<solver::OutputPtr> run(const std::vector<solver::OutputPtr>& inputs, const Cancel& cancel) override {
    auto output = bring(static_cast<const Stack&>(*inputs[0]), cancel);
    if (!output) return std::unexpected(place_.locate(std::move(output).error()));
    return output;
  }

  Result<std::string> finish(const solver::Output& output, const Cancel& cancel) override {
    const Stack& stack = static_cast<const Stack&>(output);
    if (!spec_.recorded) return std::string();  // nothing but a copy of it is kept
    if (!context_.clamp) {
      if (Status done = commit_top(context_.shop, stack, {}, cancel); !done)
        return std::unexpected(place_.locate(std::move(done).error()));
    }
    return stack.encode();
  }

  bool recorded() const override { return spec_.recorded; }

 protected:
  Status describe(Definition& definition, const Cancel& cancel) override {
    for (std::size_t i = 0; i < spec_.sources.size(); ++i) {
      const auto& [directory, source] = spec_.sources[i];
      if (i == keys_.size()) {  // a source is asked once
        auto key = source->key(cancel);
        if (!key) return std::unexpected(place_.locate(std::move(key).error()));
        keys_.push_back(*key);
      }
      definition.part(What::kRemote, directory).add("directory", directory).add("content", keys_[i].text());
    }
    return {};
  }

 private:
  Result<solver::OutputPtr> bring(const Stack& base, const Cancel& cancel) {
    store::SnapshotDraft draft = TRY(context_.shop.store.draft_snapshot(context_.shop.lease));
    const sys::Fd root = TRY(sys::open(draft.fs(), O_RDONLY | O_DIRECTORY));
    for (const auto& [directory, source] : spec_.sources) {
      if (!directory.empty() && ::mkdirat(root.get(), directory.c_str(), 0755) < 0)
        return fail_errno("cannot make a directory for a source of ADD");
      TRY(source->fetch(directory.empty() ? draft.fs() : draft.fs() + "/" + directory, cancel));
    }
    auto stack = base.with(std::make_shared<Layer>(std::move(draft), context_.created()));
    if (spec_.recorded && context_.clamp)
      TRY(commit_top(context_.shop, *stack, {.clamp_mtime = context_.clamp}, cancel));
    return stack;
  }

  const OpContext& context_;
  Place place_;
  RemoteSpec spec_;
  std::vector<oci::Digest> keys_;  ///< of the sources, as far as they were asked
};

}  // namespace

std::shared_ptr<solver::Op> remote_op(const OpContext& context, Place place, RemoteSpec spec) {
  return std::make_shared<RemoteOp>(context, std::move(place), std::move(spec));
}

}  // namespace slipway::build
