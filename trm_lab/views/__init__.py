"Figures and the Explorer."
