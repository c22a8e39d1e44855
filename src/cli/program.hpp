// Program: one run of slipway, from words to exit code. main.cpp gives it the process.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "registry/credentials.hpp"

namespace slipway::cli {

struct Process {
  std::string name = {};           ///< what the program was called as: a path that ends in "executor" or "warmer" is
                                   ///< the command of that name (kaniko's programs)
  std::vector<std::string> words;  ///< the command line without the program's name
  registry::Environment environment;
  registry::Variables variables = {};  ///< all of the environment, for credential helpers
  unsigned uid = 0;
  Cancel cancel;
  std::function<int()> signal = [] { return 0; };  ///< the signal that fired `cancel`; 0: none
  std::function<Status()> enter_user_namespace = [] { return Status{}; };
  int standard_output = 1;
  std::function<void(std::string_view)> say = [](std::string_view) {};
};

/// Dispatches to the command and renders its error. Standard output is complete when this gives 0.
[[nodiscard]] int run_program(const Process& process);

}  // namespace slipway::cli
