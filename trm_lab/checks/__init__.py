"Parity with the reference, and measurements."
