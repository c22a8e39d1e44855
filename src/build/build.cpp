#include "build/build.hpp"

#include <algorithm>
#include <mutex>
#include <thread>

#include "base/text.hpp"
#include "base/time.hpp"
#include "build/export.hpp"
#include "build/frontend.hpp"
#include "build/open_context.hpp"
#include "build/store_records.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

/// Turns what the solver says of vertices into progress events and the report of steps.
class StepObserver final : public solver::Observer {
 public:
  StepObserver(const Plan& plan, progress::Sink& sink) : plan_(plan), sink_(sink), started_(plan.places.size()) {}

  void started(std::size_t vertex) override {
    if (plan_.places[vertex].name.empty()) return;
    started_[vertex] = monotonic_ms();
    sink_.on(progress::Started{plan_.places[vertex].id, plan_.places[vertex].name});
  }
  void cached(std::size_t vertex) override {
    if (plan_.places[vertex].name.empty()) return;
    report(vertex, StepReport::How::kCached);
    sink_.on(progress::Cached{plan_.places[vertex].id});
  }
  void finished(std::size_t vertex, const Error* error) override {
    if (plan_.places[vertex].name.empty()) return;
    report(vertex, StepReport::How::kRan);
    sink_.on(progress::Finished{plan_.places[vertex].id, error == nullptr ? "" : error->what()});
  }
  [[nodiscard]] std::vector<StepReport> steps() const { return steps_; }

 private:
  void report(std::size_t vertex, StepReport::How how) {
    steps_.push_back({plan_.places[vertex].name, how, monotonic_ms() - started_[vertex]});
  }
  const Plan& plan_;
  progress::Sink& sink_;
  std::vector<std::int64_t> started_;
  std::vector<StepReport> steps_;
};

std::string dockerfile_path(const Request& request) {
  return request.dockerfile.empty() ? request.context + "/Dockerfile" : request.dockerfile;
}

Result<dockerfile::File> read_dockerfile(const Request& request) {
  const std::string path = dockerfile_path(request);
  std::string text;
  if (request.dockerfile_text) {
    text = *request.dockerfile_text;
  } else {
    auto read = sys::read_file(path, dockerfile::kFileLimit);
    if (!read && read.error().sys_errno() == ENOENT)
      return std::unexpected(
          Error(Code::kNotFound, fmt::format("failed to read the Dockerfile {}: it is not there", quoted(path)))
              .with_hint("name it with -f, or change to the folder that holds it"));
    text = TRY(context(std::move(read), "while reading the Dockerfile"));
  }
  const std::string name = request.dockerfile_text ? "Dockerfile" : path.substr(path.rfind('/') + 1);
  dockerfile::File file = TRY(dockerfile::parse(text, name));
  if (!file.directives.syntax.empty() && !dockerfile::is_built_in_syntax(file.directives.syntax))
    return std::unexpected(Error(Code::kInvalidArgument,
                                 fmt::format("the frontend {} is not known; only the Dockerfile language is built in",
                                             quoted(file.directives.syntax)))
                               .with_range({name, file.directives.syntax_line, file.directives.syntax_line})
                               .with_hint("remove the syntax line, or write # syntax=docker/dockerfile:1"));
  return file;
}

Status check_context(const Request& request) {
  struct stat info{};
  if (::stat(request.context.c_str(), &info) < 0)
    return fail_errno("cannot open the build context {}", quoted(request.context));
  if (!S_ISDIR(info.st_mode))
    return fail(Code::kInvalidArgument, "the build context {} is not a folder", quoted(request.context));
  return {};
}

Status keep_names(const Request& request, const Workshop& shop, const Exported& image) {
  return shop.store.set_names(shop.scope, request.tags, image.manifest.digest, image.manifest.media_type,
                              store::Durable::kYes);
}

Status push_all(const Request& request, const Workshop& shop, const Exported& image, const Cancel& cancel) {
  if (!request.push) return {};
  if (request.tags.empty()) return fail(Code::kUsage, "--push needs a name: add -t REGISTRY/NAME:TAG");
  for (const auto& tag : request.tags)
    (void)TRY(context(shop.images.push(image.manifest.digest, image.manifest.media_type, tag, shop.sink, cancel),
                      "while pushing {}", tag.familiar()));
  return {};
}

}  // namespace

Result<Outcome> build(const Request& request, Tools& tools, progress::Sink& sink, const Cancel& cancel) {
  TRY(check_context(request));
  const dockerfile::File file = TRY(read_dockerfile(request));
  const store::Lease lease = TRY(tools.store.lease("build"));
  const Workshop shop{tools.store, lease, image::Images{tools.store, lease, tools.client, tools.scope}, sink,
                      tools.scope};
  const OpContext op_context{shop, tools.sandbox, request.source_date_epoch};

  std::shared_ptr<Context> folder;
  const OpenContext open = [&]() -> Result<std::shared_ptr<Context>> {
    if (!folder) folder = TRY(open_context(tools.store, request.context, dockerfile_path(request)));
    return folder;
  };
  VertexIds ids;
  const Plan planned = TRY(plan(file, request, op_context, open, ids, cancel));

  StoreRecords records(shop);
  StepObserver observer(planned, sink);
  const auto processors = std::max(2u, std::thread::hardware_concurrency());
  const solver::Options options{.parallelism = request.parallelism > 0 ? static_cast<std::size_t>(request.parallelism)
                                                                       : processors};
  auto solved = solver::solve(planned.graph, {planned.target}, records, observer, options, cancel);
  if (folder) TRY(folder->sums->save());
  const auto outputs = TRY(std::move(solved));
  const Stack& stack = static_cast<const Stack&>(*outputs[0]);

  const progress::VertexId exporting = ids.next();
  sink.on(progress::Started{exporting, "exporting to image"});
  const auto export_all = [&]() -> Result<Exported> {
    const Exported image = TRY(write_image(shop, planned, stack, request.source_date_epoch));
    TRY(keep_names(request, shop, image));
    for (const auto& output : request.outputs) TRY(write_output(output, shop, image, stack, request, tools, cancel));
    TRY(push_all(request, shop, image, cancel));
    return image;
  };
  auto exported = export_all();
  sink.on(progress::Finished{exporting, exported ? "" : exported.error().what()});
  const Exported image = TRY(std::move(exported));
  TRY(tools.store.flush());
  return Outcome{image.manifest.digest, image.manifest.media_type, image.config, observer.steps()};
}

}  // namespace slipway::build
