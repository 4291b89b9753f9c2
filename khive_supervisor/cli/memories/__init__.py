"""Commands about what memories belong to."""
