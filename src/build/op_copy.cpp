#include <map>

#include "base/text.hpp"
#include "build/archive.hpp"
#include "build/buildkit_step.hpp"
#include "build/buildkit_sums.hpp"
#include "build/layer_op.hpp"
#include "build/listing.hpp"
#include "build/source_walk.hpp"
#include "build/tree_sum.hpp"
#include "buildcache/keys.hpp"
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
  CopyOp(const OpContext& op_context, Place place, CopySpec spec, StepChain chain)
      : LayerOp(op_context, std::move(place)), spec_(std::move(spec)), chain_(std::move(chain)) {}

  std::string_view kind() const override { return "copy"; }

  std::string listing(const oci::Digest& content, const Cancel& cancel) override {
    if (const auto found = listings_.find(content); found != listings_.end()) return found->second;
    if (!spec_.context || content_ != content) return {};
    // Once more, with the sums that are known by now: only a step that runs pays for the list.
    ListingWriter files;
    const auto again = content_of(spec_.context->tree, spec_.context->sums.get(), &files, cancel);
    return again && *again == content ? files.take() : std::string();
  }

  Result<solver::Key> content(std::size_t, const solver::Output& output, const Cancel& cancel) override {
    ListingWriter files;
    const auto sum = [&]() -> Result<solver::Key> {
      const Tree tree = TRY(tree_of(context().shop, output, place().id, cancel));
      if (chain_) chain_.tell(TRY(kaniko_file_keys(tree, spec_.sources, cancel)));
      return content_of(tree, nullptr, &files, cancel);
    };
    auto digest = sum();
    if (!digest) return std::unexpected(place().locate(std::move(digest).error()));
    listings_.insert_or_assign(*digest, files.take());
    return digest;
  }

  Result<std::optional<BuildkitStep>> buildkit_step(const BuildkitAsk& ask, const Cancel& cancel) override {
    if (spec_.parents || (spec_.context && !spec_.excludes.empty())) return std::nullopt;
    BuildkitStep step;
    const bool base = !ask.nothing[0];
    if (base) step.inputs.push_back({.input = 0, .selector = {}, .roots = {}});
    std::vector<buildcache::CopyAction> actions;
    if (!spec_.sources.empty()) {
      const std::int64_t from = TRY(add_source(ask, base, step, cancel));
      for (const auto& path : buildkit_paths()) actions.push_back(action(path, base, from, false));
    }
    for (const auto& file : spec_.inline_files) {
      const std::string path = "/" + clean_rooted(file.name);
      const oci::Digest sum = oci::Digest::of(
          buildcache::FileHead{.mode = 0644, .size = std::ssize(file.content), .link = {}, .xattrs = {}}.text() +
          file.content);
      BuildkitInput document{.input = std::nullopt,
                             .selector = {},
                             .roots = {{buildcache::paths_selector({path}),
                                        buildcache::output_key(buildcache::document_digest(path, 0644, file.content))},
                                       {"", buildcache::content_key(buildcache::content_of({sum}))}}};
      actions.push_back(action(path, base, std::ssize(step.inputs), true));
      step.inputs.push_back(std::move(document));
    }
    if (actions.empty() || step.inputs.empty()) return std::nullopt;
    step.digests.push_back(buildcache::output_key(buildcache::copy_digest(actions, base, step.inputs.size())));
    return step;
  }

 protected:
  Status describe(Definition& definition, const Cancel& cancel) override {
    if (Status defined = define(definition, cancel); !defined)
      return std::unexpected(place().locate(std::move(defined).error()));
    return {};
  }

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
      bool changed = false;
      options.sums = spec_.context->sums.get();
      options.changed = &changed;
      TRY(copy_from(spec_.context->tree, destination, options, cancel));
      // Also names that came, went or mean something else now: then this is not what the key was made of.
      const auto now = content_of(spec_.context->tree, options.sums, nullptr, cancel);
      TRY(cancel.check());
      if (changed || !now || *now != *content_) set_off_key();
    } else if (!spec_.sources.empty()) {
      TRY(copy_from(TRY(tree_of(context().shop, *inputs[1], place().id, cancel)), destination, options, cancel));
    }
    return destination.copy_inline(spec_.inline_files, spec_.target, options);
  }

 private:
  [[nodiscard]] std::vector<std::string> buildkit_paths() const {
    std::vector<std::string> paths;
    for (const auto& source : spec_.sources) paths.push_back("/" + clean_rooted(source));
    return paths;
  }

  [[nodiscard]] buildcache::CopyAction action(const std::string& path, bool base, std::int64_t input,
                                              bool document) const {
    buildcache::CopyAction action{.source = path,
                                  .target = spec_.target,
                                  .owner = std::nullopt,
                                  .chmod = spec_.chmod,
                                  .unpack = !document && spec_.unpack,
                                  .document = document,
                                  .excludes = spec_.excludes,
                                  .input = input};
    if (!spec_.chown.empty()) action.owner = buildcache::Owner::parse(spec_.chown, base ? 0 : -1);
    return action;
  }

  /// Adds what is copied from, and gives its number: the stage itself when it is what is copied upon.
  Result<std::int64_t> add_source(const BuildkitAsk& ask, bool base, BuildkitStep& step, const Cancel& cancel) {
    if (!spec_.context && base && ask.inputs.at(1) == ask.inputs[0]) return 0;
    BuildkitInput source{.input = std::nullopt, .selector = {}, .roots = {}};
    if (!spec_.context) {
      source.input = 1;
      source.selector = buildcache::paths_selector(buildkit_paths());
    }
    if (const auto content = TRY(buildkit_content_of(ask, cancel)))
      source.roots.emplace_back("", buildcache::content_key(*content));
    step.inputs.push_back(std::move(source));
    return std::ssize(step.inputs) - 1;
  }

  /// Of a context once; of a stage as far as its tree is here anyway.
  Result<std::optional<oci::Digest>> buildkit_content_of(const BuildkitAsk& ask, const Cancel& cancel) {
    if (spec_.context) {
      if (!buildkit_content_)
        buildkit_content_ = TRY(buildkit_content(spec_.context->tree, TreeOf::kContext, buildkit_paths(),
                                                 {&context().shop.store, spec_.context->sums.get()}, cancel));
      return *buildkit_content_;
    }
    if (!spec_.excludes.empty() || ask.outputs.size() < 2 || !ask.outputs[1]) return std::nullopt;
    const Stack& stack = static_cast<const Stack&>(*ask.outputs[1]);
    const auto chain = stack.chain();
    if (!chain) return std::nullopt;
    // What a tree holds is remembered by its name: a cache that is written again has the same words without the tree.
    constexpr std::string_view kKind = "buildkit content";
    store::Store& store = context().shop.store;
    const std::string key = chain->digest.text() + " " + join(buildkit_paths(), " ");
    if (const auto known = TRY(store.recall(kKind, key))) {
      if (const auto digest = oci::Digest::parse(*known)) return *digest;
    }
    if (!std::ranges::all_of(stack.layers(), [](const auto& layer) { return layer->empty() || layer->directory(); }))
      return std::nullopt;
    const Tree tree = TRY(tree_of(context().shop, stack, place().id, cancel));
    auto content = TRY(buildkit_content(tree, TreeOf::kStage, buildkit_paths(), {}, cancel));
    if (content) TRY(store.remember(kKind, key, content->text()));
    return content;
  }

  Status define(Definition& definition, const Cancel& cancel) {
    if (!content_) TRY(prepare_sources(cancel));
    definition.part(What::kDestination).add("target", spec_.target);
    definition.part(What::kOwner).add("chown", spec_.chown);
    definition.part(What::kMode).add("chmod", spec_.chmod);
    if (!spec_.excludes.empty()) definition.part(What::kFlag, "exclude").add("exclude", spec_.excludes);
    if (spec_.parents) definition.part(What::kFlag, "parents").add("parents", "true");
    if (spec_.unpack) definition.part(What::kFlag, "unpack").add("unpack", "true");
    for (const auto& file : spec_.inline_files)
      definition.part(What::kCommand).add("inline", file.name).add("content", file.content);
    if (!spec_.context) {
      definition.part(What::kSources).add("sources", spec_.sources);
      return {};
    }
    definition.remark(What::kSources, spec_.sources);
    definition.files(*content_).add("content", content_->text());
    return {};
  }

  Status prepare_sources(const Cancel& cancel) {
    if (patterns_.empty()) TRY(read_patterns());
    if (!spec_.chmod.empty()) (void)TRY(ModeChange::parse(spec_.chmod));
    if (spec_.context) content_ = TRY(content_of(spec_.context->tree, spec_.context->sums.get(), nullptr, cancel));
    return {};
  }

  /// A source as written: where to look, and what to take there.
  struct Pattern {
    std::string root;
    Selection selection;
    std::string shown;  ///< for errors
  };

  Status read_patterns() {
    std::shared_ptr<const dockerfile::Matcher> excludes;
    if (!spec_.excludes.empty())
      excludes = std::make_shared<const dockerfile::Matcher>(TRY(dockerfile::Matcher::from_patterns(spec_.excludes)));
    for (const auto& source : spec_.sources) {
      Pattern pattern{.root = source, .selection = {.excludes = excludes, .include = nullptr}, .shown = source};
      if (spec_.parents) {
        constexpr std::string_view kPivot = "/./";
        const auto pivot = source.find(kPivot);
        pattern.root = pivot == std::string::npos ? "" : source.substr(0, pivot);
        auto include = TRY(Include::parse(pivot == std::string::npos ? source : source.substr(pivot + kPivot.size())));
        if (!include.all()) pattern.selection.include = std::make_shared<const Include>(std::move(include));
      }
      patterns_.push_back(std::move(pattern));
    }
    return {};
  }

  Result<std::vector<CopySource>> sources_in(const Tree& tree) const {
    std::vector<CopySource> sources;
    for (const auto& pattern : patterns_) {
      const auto matched = TRY(tree.glob(pattern.root));
      const Include* include = pattern.selection.include.get();
      bool there = dockerfile::has_wildcard(pattern.shown) || (include != nullptr && !include->plain());
      for (const auto& path : matched) {
        there = there || TRY(holds(tree, path, include));
        sources.emplace_back(path, pattern.selection);
      }
      if (!there)
        return fail(Code::kNotFound, "failed to calculate checksum of the source: \"/{}\": not found",
                    printable(clean_rooted(pattern.shown)));
    }
    return sources;
  }

  /// Whether what a pattern of --parents names is below `path`.
  static Result<bool> holds(const Tree& tree, const std::string& path, const Include* include) {
    const Tree::Resolved at = TRY(tree.resolve(path, FollowLast::kYes));
    if (include == nullptr || !at.found || !S_ISDIR(at.found->info.st_mode)) return true;
    Tree::Directory directory = TRY(tree.open_directory(at));
    const auto names = split(include->text(), '/');
    for (std::size_t i = 0; i < names.size(); ++i) {
      const std::string name(names[i]);
      const auto found = TRY(tree.find(directory, name));
      if (!found || (i + 1 < names.size() && !S_ISDIR(found->info.st_mode))) return false;
      if (i + 1 < names.size()) directory = {TRY(directory.dir.enter(name)), join_path(directory.path, name)};
    }
    return true;
  }

  Result<solver::Key> content_of(const Tree& tree, FileSums* sums, ListingWriter* files, const Cancel& cancel) const {
    return sum_paths(tree, TRY(sources_in(tree)), {.owner = sums == nullptr, .sums = sums, .files = files}, cancel);
  }

  Status copy_from(const Tree& tree, Destination& destination, const CopyOptions& options, const Cancel& cancel) const {
    auto sources = TRY(sources_in(tree));
    if (!spec_.unpack) return destination.copy(tree, sources, spec_.target, options, cancel);
    for (auto& source : sources) {
      if (TRY(add_archive(tree, source.path, destination, options, cancel))) continue;
      TRY(destination.copy(tree, {std::move(source)}, spec_.target, options, cancel));
    }
    return {};
  }

  /// False when it is no archive.
  Result<bool> add_archive(const Tree& tree, const std::string& path, Destination& destination,
                           const CopyOptions& options, const Cancel& cancel) const {
    const Tree::Resolved at = TRY(tree.resolve(path, FollowLast::kYes));
    if (!at.found || !S_ISREG(at.found->info.st_mode)) return false;
    const sys::Fd file = TRY(at.parent->dir.open_child(at.name(), *at.found));
    const struct stat info = TRY(sys::stat_fd(file.get(), path));
    const auto changed = [&] {
      return std::unexpected(Error(Code::kAborted, fmt::format("{} changed while it was read", quoted(path)))
                                 .with_hint("build again when nothing writes to the context"));
    };
    if (!S_ISREG(info.st_mode)) return changed();
    if (options.sums != nullptr && options.changed != nullptr && !options.sums->unchanged(info))
      *options.changed = true;
    const auto refuse = [&](Error error) {
      error.add_context(fmt::format("while unpacking {}", quoted(path)));
      if (error.hint().empty() && error.code() != Code::kCancelled)
        error.with_hint("COPY, or ADD --unpack=false, keeps it as it is");
      return std::unexpected(std::move(error));
    };
    const auto told = is_archive(file.get(), cancel);
    if (!told) return refuse(told.error());
    if (!*told) return false;
    const Workshop& shop = context().shop;
    const auto archive = Archive::unpack(file.get(), shop.store, shop.lease, {options.owner, options.mode}, cancel);
    if (!archive) return refuse(archive.error());
    if (FileIdentity::of(TRY(sys::stat_fd(file.get(), path))) != FileIdentity::of(info)) return changed();
    TRY(destination.take_in(*archive, spec_.target, options, cancel));
    return true;
  }

  CopySpec spec_;
  StepChain chain_;                                             ///< is told of the files of a stage
  std::vector<Pattern> patterns_;                               ///< of definition(): the rest comes after it
  std::optional<oci::Digest> content_;                          ///< of what is taken of the context; likewise
  std::map<oci::Digest, std::string> listings_;                 ///< of what is taken of stages
  std::optional<std::optional<oci::Digest>> buildkit_content_;  ///< of what is taken of the context, once it was asked
};

class WorkdirOp final : public LayerOp {
 public:
  WorkdirOp(const OpContext& op_context, Place place, std::string path, std::string user)
      : LayerOp(op_context, std::move(place)), path_(std::move(path)), user_(std::move(user)) {}

  std::string_view kind() const override { return "workdir"; }
  Result<std::optional<BuildkitStep>> buildkit_step(const BuildkitAsk& ask, const Cancel&) override {
    const bool base = !ask.nothing[0];
    std::optional<buildcache::Owner> owner;
    if (!user_.empty()) owner = buildcache::Owner::parse(user_, base ? 0 : -1);
    BuildkitStep step{
        .digests = {buildcache::output_key(buildcache::workdir_digest(path_, owner, context().epoch, base))},
        .inputs = {}};
    if (base) step.inputs.push_back({.input = 0, .selector = {}, .roots = {}});
    return step;
  }

 protected:
  Status describe(Definition& definition, const Cancel&) override {
    definition.part(What::kDestination).add("path", path_);
    definition.part(What::kUser).add("user", user_);
    return {};
  }
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

std::shared_ptr<solver::Op> copy_op(const OpContext& context, Place place, CopySpec spec, StepChain chain) {
  return std::make_shared<CopyOp>(context, std::move(place), std::move(spec), std::move(chain));
}

std::shared_ptr<solver::Op> workdir_op(const OpContext& context, Place place, std::string path, std::string user) {
  return std::make_shared<WorkdirOp>(context, std::move(place), std::move(path), std::move(user));
}

}  // namespace slipway::build
