// Nothing: no time passes and no pin moves.
