#include "cli/progress_quiet.hpp"

#include <fmt/core.h>

#include "base/text.hpp"

namespace slipway::cli {

void QuietProgress::on(const progress::Event& event) {
  const std::lock_guard lock(mutex_);
  if (const auto* started = std::get_if<progress::Started>(&event)) {
    Step& step = steps_[started->id];
    step.name = printable(started->name);
    step.started = setup_.clock();
  } else if (const auto* log = std::get_if<progress::Log>(&event)) {
    if (const auto found = steps_.find(log->id); found != steps_.end())
      (void)found->second.log.add(log->stream, log->bytes, setup_.clock() - found->second.started);
  } else if (const auto* finished = std::get_if<progress::Finished>(&event)) {
    const auto found = steps_.find(finished->id);
    if (found == steps_.end()) return;
    (void)found->second.log.flush(setup_.clock() - found->second.started);
    found->second.failed = !finished->error.empty() && !is_cancellation(finished->error);
    if (!found->second.failed) steps_.erase(found);
  } else if (const auto* cached = std::get_if<progress::Cached>(&event)) {
    steps_.erase(cached->id);
  } else if (const auto* warning = std::get_if<progress::Warning>(&event)) {
    setup_.write(fmt::format("WARNING: {}\n", printable_text(warning->text)));
  }
}

void QuietProgress::finish() {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, step] : steps_)
    if (step.failed) setup_.write(failure_block(step.name, step.log.tail()));
}

}  // namespace slipway::cli
