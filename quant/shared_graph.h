#pragma once
// Private: graphs that are to be changed, of parameters that are not copied.

#include "../core/graph.h"

namespace sinter::quant {

/// The same graph, whose parameters have the same elements.
inline Graph shared(const Graph& from) {
  Graph graph;
  graph.inputs = from.inputs;
  graph.nodes = from.nodes;
  for (const NamedParameter& parameter : from.parameters)
    graph.parameters.push_back({parameter.name, parameter.value.share()});
  graph.constants = from.constants;
  graph.outputs = from.outputs;
  return graph;
}

}  // namespace sinter::quant
