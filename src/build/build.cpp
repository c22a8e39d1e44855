#include "build/build.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>

#include "base/text.hpp"
#include "base/time.hpp"
#include "build/cache_export.hpp"
#include "build/checks.hpp"
#include "build/context_source.hpp"
#include "build/explainer.hpp"
#include "build/exporter.hpp"
#include "build/foreign_steps.hpp"
#include "build/frontend.hpp"
#include "build/recut.hpp"
#include "build/ssh_agents.hpp"
#include "build/travelling_records.hpp"

namespace slipway::build {
namespace {

/// Turns what the solver says of vertices into progress events and the report of steps.
class StepObserver final : public solver::Observer {
 public:
  StepObserver(const Plan& plan, progress::Sink& sink, Explainer& explainer)
      : plan_(plan), sink_(sink), explainer_(explainer), started_(plan.places.size()) {}

  void started(std::size_t vertex) override {
    if (plan_.places[vertex].name.empty()) return;
    started_[vertex] = monotonic_ms();
    sink_.on(progress::Started{plan_.places[vertex].id, plan_.places[vertex].name});
  }
  void judged(std::size_t vertex, const solver::Verdict& verdict) override {
    if (const auto& step = plan_.places[vertex].cacheable) step->exact = verdict.fast.text();
    if (auto reason = explainer_.judged(vertex, verdict)) sink_.on(*std::move(reason));
  }
  void cached(std::size_t vertex) override {
    if (plan_.places[vertex].name.empty()) return;
    report(vertex, StepReport::How::kCached);
    sink_.on(progress::Cached{plan_.places[vertex].id});
  }
  void finished(std::size_t vertex, const Error* error) override {
    if (plan_.places[vertex].name.empty()) return;
    report(vertex, StepReport::How::kRan);
    using Ended = StepAccount::Ended;
    explainer_.ended(vertex, error == nullptr                    ? Ended::kRan
                             : error->code() == Code::kCancelled ? Ended::kStopped
                                                                 : Ended::kFailed);
    sink_.on(progress::Finished{plan_.places[vertex].id, error == nullptr ? "" : error->what()});
  }
  [[nodiscard]] std::vector<StepReport> steps() const { return steps_; }

 private:
  void report(std::size_t vertex, StepReport::How how) {
    steps_.push_back({plan_.places[vertex].name, how, monotonic_ms() - started_[vertex]});
  }
  const Plan& plan_;
  progress::Sink& sink_;
  Explainer& explainer_;
  std::vector<std::int64_t> started_;
  std::vector<StepReport> steps_;
};

/// What tells a Dockerfile and its context from others of the same scope.
std::string project_of(const Request& request, const ContextFolder& source) {
  const std::unique_ptr<char, decltype(&::free)> real(::realpath(source.directory.c_str(), nullptr), &::free);
  const std::string context = source.remote || !real ? request.context : real.get();
  return context + "\n" + request.dockerfile;
}

/// The account is for people: a build that worked is not undone because it could not be kept.
void keep_account(Explainer& explainer, progress::Sink& sink, const std::optional<Exported>& image) {
  const Status kept =
      image ? explainer.note(image->manifest.digest, image->config) : explainer.note(std::nullopt, std::nullopt);
  if (!kept) sink.on(progress::Warning{"'slipway why' will not know of this build: " + kept.error().what()});
}

/// --cache-to, but for what is in the image.
Status write_caches(const Request& request, const CacheExport& travelling, const Workshop& shop, VertexIds& ids) {
  for (const auto& target : request.cache_to) {
    if (target.in_image) continue;
    const progress::VertexId id = ids.next();
    shop.sink.on(
        progress::Started{id, "exporting cache to " + std::string(target.place.reference ? "registry" : "directory")});
    Status written = context(travelling.write(target, id), "while writing the cache {}", target.place.title);
    shop.sink.on(progress::Finished{id, written ? "" : written.error().what()});
    if (written) continue;
    if (!target.ignore_error || written.error().code() == Code::kCancelled) return written;
    shop.sink.on(
        progress::Warning{fmt::format("the cache {} is not written: {}", target.place.title, written.error().what())});
  }
  return {};
}

}  // namespace

Result<Outcome> build(const Request& request, Tools& tools, progress::Sink& sink, const Cancel& cancel) {
  TRY(check_outputs(request));
  for (const auto& note : request.notes) sink.on(progress::Warning{note});
  const store::Lease lease = TRY(tools.store.lease("build"));
  const Workshop shop{tools.store, lease, image::Images{tools.store, lease, tools.client, tools.scope}, sink,
                      tools.scope};
  VertexIds ids;
  SshAgents agents = TRY(SshAgents::open(request.ssh));
  RemoteSources remotes(shop, request, tools, ids, TRY(agents.socket_for_git(shop.lease.directory())));
  const ContextFolder source = TRY(get_context(request, tools, remotes, cancel));
  const dockerfile::File file = TRY(read_dockerfile(request, source, remotes, cancel));
  OpContext op_context{shop, tools.sandbox, request.source_date_epoch};
  if (request.clamp_times) op_context.clamp = request.source_date_epoch;
  op_context.remotes = &remotes;
  op_context.resolved = &tools.resolved;
  op_context.step_cache = tools.step_cache;
  op_context.ssh = &agents;

  std::shared_ptr<Context> folder;
  const OpenContext open = [&]() -> Result<std::shared_ptr<Context>> {
    if (!folder) folder = TRY(open_context(tools.store, request, source));
    return folder;
  };
  // what the checks ask of base images is here once they are planned; what they find is told also when that failed
  auto plan_or_error = plan(file, request, op_context, open, ids, cancel);
  const Status checks = run_checks(file, request, source, tools);
  const Plan planned = TRY(std::move(plan_or_error));
  TRY(checks);

  ForeignPlatforms foreign;
  op_context.foreign = &foreign;
  TRY(foreign.admit(planned, op_context, cancel));

  std::optional<CacheImport> caches;
  if (!request.cache_from.empty()) {
    caches.emplace(shop, request.cache_from, ids, cancel);
    caches->set_plan(planned);
    op_context.caches = &*caches;
  }
  Bases bases(shop, planned, ids, cancel);
  TravellingRecords records(shop, bases, caches ? &*caches : nullptr);
  Explainer explainer(shop, planned, request, project_of(request, source), cancel);
  StepObserver observer(planned, sink, explainer);
  const auto processors = std::max(2u, std::thread::hardware_concurrency());
  std::vector<solver::Solved> solutions;
  const solver::Options options{
      .parallelism = request.parallelism > 0 ? static_cast<std::size_t>(request.parallelism) : processors,
      .solved = &solutions};
  std::vector<std::size_t> targets;
  for (const auto& image : planned.images) targets.push_back(image.target);
  auto solved = solver::solve(planned.graph, targets, records, observer, options, cancel);
  if (folder && !source.remote) TRY(folder->sums->save());
  for (const auto& named : planned.folders) TRY(named->sums->save());
  if (!solved) keep_account(explainer, sink, std::nullopt);
  const auto outputs = TRY(std::move(solved));
  std::vector<PlatformResult> results;
  std::vector<Recut> recuts;
  if (request.cut.one_layer || !request.cut.ignored.empty())
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      auto cut =
          recut(shop, planned.images[i], static_cast<const Stack&>(*outputs[i]), request.cut, op_context.clamp, cancel);
      if (!cut) return std::unexpected(tools.store.explain(std::move(cut).error()));
      recuts.push_back(*std::move(cut));
    }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (recuts.empty())
      results.push_back({planned.images[i], static_cast<const Stack&>(*outputs[i])});
    else
      results.push_back({recuts[i].planned, *recuts[i].stack});
  }

  const progress::VertexId exporting = ids.next();
  sink.on(progress::Started{exporting, "exporting to image"});
  const CacheExport travelling(shop, planned, solutions, results, caches ? &*caches : nullptr, cancel);
  Exporter exporter(request, tools, shop, results, planned.index, exporting, travelling, cancel);
  auto exported = exporter.run();
  sink.on(progress::Finished{exporting, exported ? "" : exported.error().what()});
  keep_account(explainer, sink, exported ? std::optional(*exported) : std::nullopt);
  const Exported image = TRY(std::move(exported));
  TRY(write_caches(request, travelling, shop, ids));
  if (Status kept = records.keep(solutions); !kept)
    sink.on(progress::Warning{"what came out of a cache is not recorded: " + kept.error().what()});
  TRY(tools.store.flush());
  return Outcome{image.manifest, image.config, exporter.names(), observer.steps()};
}

}  // namespace slipway::build
