"""What people read: events, plans, faults and recaps as text."""
