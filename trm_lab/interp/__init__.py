"Looking inside: traces, interventions, sessions."
